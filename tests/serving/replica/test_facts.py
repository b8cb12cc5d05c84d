"""The bounds on tokens hold for any conversation, on the demo model's own tokenizer."""

from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.replica.facts import token_facts
from serving.snapshot import TokenFacts
from tests.live.fleet_under_test import MODEL

ROLES = st.sampled_from(["system", "user", "assistant"])
MESSAGES = st.lists(st.tuples(ROLES, st.text(max_size=200)), min_size=1, max_size=8)


@cache
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL, local_files_only=True)


@cache
def measured() -> TokenFacts:
    facts = token_facts(tokenizer())
    assert facts is not None
    return facts


@settings(max_examples=100)
@given(MESSAGES)
def test_no_conversation_has_more_or_fewer_tokens_than_its_bounds(
    conversation: list[tuple[str, str]],
) -> None:
    facts = measured()
    messages = [{"role": role, "content": content} for role, content in conversation]
    rendered = tokenizer().apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    count = len(tokenizer().encode(rendered, add_special_tokens=False))
    size = sum(len(content.encode()) for _, content in conversation)
    most = size + facts.request_overhead_tokens + len(messages) * facts.message_overhead_tokens
    assert size / facts.longest_token_bytes <= count <= most


def test_a_template_that_renders_nothing_gives_no_facts() -> None:
    class Broken:
        def apply_chat_template(self, *_: object, **__: object) -> str:
            raise ValueError("no template")

    assert token_facts(Broken()) is None
