"""Of a checkpoint's files those come along that serving needs."""

import pytest

from deployments.weight_files import has_weights, needed

BESIDE = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer.model",
          "merges.txt", "chat_template.jinja", "modeling_x.py", "LICENSE",
          "USE_POLICY.md"]  # fmt: skip


def test_settings_tokenizers_templates_code_and_licence_come_along() -> None:
    assert needed(BESIDE) == BESIDE
    assert not has_weights(BESIDE)


def test_what_is_for_readers_and_for_git_does_not() -> None:
    assert needed(["README.md", ".gitattributes", ".cache/x.json", "image.png", "train.log"]) == []


@pytest.mark.parametrize(
    ("listed", "taken"),
    [
        (["a.safetensors", "a.bin", "a.pt", "a.pth", "a.gguf"], ["a.safetensors"]),
        (["a.safetensors", "consolidated.safetensors"], ["a.safetensors"]),
        (["consolidated.safetensors", "a.bin"], ["consolidated.safetensors"]),
        (["original/a.safetensors", "onnx/b.safetensors", "a.safetensors"], ["a.safetensors"]),
        (["original/params.json", "a.bin"], ["a.bin"]),
        (["pytorch_model.bin", "training_args.bin", "optimizer.pt"], ["pytorch_model.bin"]),
        (["training_args.bin"], []),
        (["a.gguf", "a.onnx", "a.h5", "a.msgpack"], []),
        (["transformer/a.safetensors"], ["transformer/a.safetensors"]),
    ],
)
def test_weights_come_in_one_format(listed: list[str], taken: list[str]) -> None:
    assert needed(listed) == taken
    assert has_weights(needed(listed)) == bool(taken)
