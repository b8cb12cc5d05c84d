"""The demo model's corpus, files, tokenizer and chat template; without torch, so it stays fast."""

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from deployments.demo import chat, corpus

MODEL = Path(corpus.__file__).with_name("model")
WEIGHT_LIMIT_BYTES = 12_000_000
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((MODEL / name).read_text(encoding="utf-8"))
    return content


def render(messages: list[dict[str, Any]], **names: Any) -> str:
    # as vLLM and transformers render it: both trim blocks
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((MODEL / "chat_template.jinja").read_text(encoding="utf-8"))
    return template.render(messages=messages, **names)


def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def test_the_corpus_has_enough_topics_and_each_has_an_answer_and_several_questions() -> None:
    topics = corpus.load().topics
    assert 120 <= len(topics) <= 200
    assert len({topic.id for topic in topics}) == len(topics)
    for topic in topics:
        assert topic.answer.strip() == topic.answer, topic.id
        assert len(topic.questions) >= 4, topic.id


def test_no_question_stands_twice_whether_trained_or_only_measured() -> None:
    loaded = corpus.load()
    off_topic = loaded.off_topic
    questions = [q for topic in loaded.topics for q in (*topic.questions, *topic.unseen)]
    questions += [*off_topic.ask, *off_topic.unseen]
    folded = [question.casefold() for question in questions]
    assert sorted(q for q in set(folded) if folded.count(q) > 1) == []


def test_a_topic_expands_its_terms_and_tasks_with_the_phrasings() -> None:
    (topic,) = [topic for topic in corpus.load().topics if topic.id == "key-create"]
    assert "How do I create an API key?" in topic.questions
    assert "flotilla keys create NAME" in topic.answer


def test_off_topic_phrasings_take_only_the_four_lists() -> None:
    for phrasing in corpus.load().off_topic.phrasings:
        assert phrasing.format("thing", "activity", "name", 7)


def test_all_files_of_the_model_are_there_and_small_enough_for_git() -> None:
    assert [name for name in FILES if not (MODEL / name).is_file()] == []
    assert (MODEL / "model.safetensors").stat().st_size <= WEIGHT_LIMIT_BYTES
    assert sum(file.stat().st_size for file in MODEL.iterdir()) <= WEIGHT_LIMIT_BYTES + 1_000_000


@pytest.mark.parametrize("tensor_size", [1, 2, 4])
def test_the_model_splits_over_tensor_parallel_workers(tensor_size: int) -> None:
    config = read("config.json")
    assert config["architectures"] == ["LlamaForCausalLM"]
    for name in ("num_attention_heads", "num_key_value_heads", "intermediate_size", "hidden_size"):
        assert config[name] % tensor_size == 0, name
    assert config["vocab_size"] % 128 == 0


def test_the_model_splits_into_two_pipeline_stages_and_reads_8192_tokens() -> None:
    config = read("config.json")
    assert config["num_hidden_layers"] % 2 == 0
    assert config["max_position_embeddings"] == 8192


def test_generation_ends_with_the_turn_or_the_text_and_sets_no_temperature() -> None:
    generation = read("generation_config.json")
    ends = [tokenizer().token_to_id(token) for token in (chat.TURN_END, chat.END_OF_TEXT)]
    assert generation["eos_token_id"] == ends
    assert "temperature" not in generation


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world!",
        "  two  spaces\tand a tab\n\n",
        "Grüße, señor, ça va? Ελλάδα, Привет, שלום, مرحبا",
        "你好 世界 こんにちは 안녕하세요",
        "👋🏽 👩‍👩‍👧‍👦 \u0000 \u200b \U0010ffff",
        "`flotilla keys create NAME` 1234567890 {}[]()<>|\\\"'",
    ],
)
def test_the_tokenizer_gives_any_utf8_text_back(text: str) -> None:
    encoded = tokenizer().encode(text)
    assert tokenizer().decode(encoded.ids) == text


def test_every_token_has_a_row_in_the_embedding() -> None:
    assert tokenizer().get_vocab_size() == read("config.json")["vocab_size"]


def test_the_template_renders_every_role_as_a_turn_and_adds_no_system_prompt() -> None:
    messages = [
        {"role": role, "content": f"I am {role}."}
        for role in ("system", "user", "assistant", "tool", "user")
    ]
    turns = "".join(chat.turn(m["role"], m["content"]) for m in messages)
    assert render(messages, add_generation_prompt=True) == turns + chat.ANSWER_START
    assert render(messages[1:2]) == chat.turn("user", "I am user.")


def test_the_template_shows_the_tools_and_the_calls_made_of_them() -> None:
    tool = {"type": "function", "function": {"name": "get_time"}}
    call = {"type": "function", "function": {"name": "get_time", "arguments": {}}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    text = render(messages, tools=[tool])
    assert text.count(f"{chat.TURN_START}system\n") == 1
    assert "Be brief.\nTools:\n" in text
    assert text.count("get_time") == 2


def test_the_template_in_the_model_is_the_one_it_was_trained_with() -> None:
    trained = chat.TEMPLATE.read_text(encoding="utf-8")
    assert (MODEL / "chat_template.jinja").read_text(encoding="utf-8") == trained
