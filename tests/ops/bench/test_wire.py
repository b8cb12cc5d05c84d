import json

from ops.bench import wire


def test_every_event_before_done_is_compact_json_with_its_id_first() -> None:
    *events, done = wire.chat_events("tiny", with_usage=True)

    assert done == b"data: [DONE]\n\n"
    for event in events:
        assert event.startswith(b'data: {"id":"chatcmpl-')
        assert event.endswith(b"}\n\n")
        assert b": " not in event.removeprefix(b"data: ")


def test_the_usage_event_comes_only_when_asked_for() -> None:
    plain = wire.chat_events("tiny", with_usage=False)
    with_usage = wire.chat_events("tiny", with_usage=True)

    assert len(with_usage) == len(plain) + 1
    assert b'"choices":[],"usage":{' in with_usage[-2]
    assert not any(b'"usage"' in event for event in plain)


def test_a_chat_stream_opens_with_the_role_and_ends_with_the_reason() -> None:
    events = wire.chat_events("tiny", with_usage=False)

    assert b'"delta":{"role":"assistant","content":""}' in events[0]
    assert b'"finish_reason":"stop"' in events[-2]


def test_a_whole_reply_carries_the_keys_only_vllm_sends() -> None:
    chat, text = json.loads(wire.chat_reply("tiny")), json.loads(wire.text_reply("tiny"))

    assert {"kv_transfer_params", "ec_transfer_params", "metrics", "prompt_text"} <= chat.keys()
    assert {"kv_transfer_params", "ec_transfer_params", "metrics", "service_tier"} <= text.keys()
    assert "tool_calls" not in chat["choices"][0]["message"]
    assert chat["usage"]["total_tokens"] == chat["usage"]["prompt_tokens"] + wire.CHUNKS
