"""Prompts that begin alike for an engine begin alike as bytes, whichever way they were read."""

import json
from typing import Any

from serving.protocol import check_chat, check_completion
from serving.protocol.fast import FastChat, FastCompletion

Message = dict[str, Any]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def chat(*messages: Message, **more: Any) -> bytes:
    return check_chat(
        json.dumps({"model": "m", "messages": messages, **more}).encode()
    ).prompt_bytes()


def text(prompt: Any) -> bytes:
    return check_completion(json.dumps({"model": "m", "prompt": prompt}).encode()).prompt_bytes()


def user(content: Any) -> Message:
    return {"role": "user", "content": content}


def test_both_ways_of_reading_a_body_give_the_same_bytes() -> None:
    fast = check_chat(json.dumps({"model": "m", "messages": [user("hé")]}).encode())
    slow = check_chat(json.dumps({"model": "m", "messages": [user("hé")], "top_k": 3}).encode())
    assert isinstance(fast.payload, FastChat)
    assert isinstance(slow.payload, dict)
    assert fast.prompt_bytes() == slow.prompt_bytes()


def test_the_next_turn_begins_with_the_one_before() -> None:
    turns = [{"role": "system", "content": "Be kind."}, user("one")]
    more = [{"role": "assistant", "content": "two"}, user("three")]
    assert chat(*turns, *more).startswith(chat(*turns))


def test_tools_stand_first_as_templates_put_them() -> None:
    one, other = chat(user("one"), tools=[TOOL]), chat(user("other"), tools=[TOOL])
    assert one[:60] == other[:60]
    assert b'"name":"f"' in one[:60]
    assert not chat(user("one")).startswith(one[:60])


def test_who_speaks_counts_and_so_do_calls_of_tools() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert chat(user("x")) != chat({"role": "system", "content": "x"})
    with_call = chat(user("x"), {"role": "assistant", "tool_calls": [call]})
    assert with_call.startswith(chat(user("x")))
    assert b'"arguments":"{}"' in with_call


def test_parts_of_text_are_its_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert chat(user(parts)) == chat(user("a\nb"))


def test_prompts_of_completions_are_their_text_and_ids_are_four_bytes_each() -> None:
    fast = check_completion(b'{"model":"m","prompt":"some text"}')
    assert isinstance(fast.payload, FastCompletion)
    assert fast.prompt_bytes() == b"some text"
    assert len(text([1, 2, 3])) == 12
    assert text([1, 2, 3]).startswith(text([1, 2]))


def test_of_several_prompts_the_first_counts() -> None:
    assert text(["one", "two"]) == text("one")
    assert text([[7, 8], [9]]) == text([7, 8])
