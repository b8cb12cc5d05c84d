"""Nobody enters an engine's app without the token, and with it only by the listed routes."""

from typing import Any

import pytest

from serving.metrics.token import metrics_token
from serving.replica.guard import BODY_LIMIT_BYTES, ROUTES, Guard

TOKEN = "t" * 43


class App:
    """An app that counts its calls and answers 200."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def ask(
    guard: Guard, method: str, path: bytes, **headers: str
) -> tuple[int, dict[bytes, bytes]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "raw_path": path, "headers": raw}
    await guard(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def guarded() -> tuple[Guard, App]:
    app = App()
    guard = Guard(app, "m.0#1")
    guard.accept_tokens((TOKEN,))
    return guard, app


async def test_the_metrics_have_a_token_that_opens_nothing_else() -> None:
    guard, app = guarded()
    header = f"Bearer {metrics_token(TOKEN)}"
    for method, path in sorted(ROUTES):
        expected = 200 if path == b"/metrics" else 401
        assert (await ask(guard, method, path, authorization=header))[0] == expected
    assert app.calls == 1


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
async def test_a_listed_route_opens_with_the_token_only(method: str, path: bytes) -> None:
    guard, app = guarded()
    assert (await ask(guard, method, path))[0] == 401
    assert (await ask(guard, method, path, authorization="Bearer wrong"))[0] == 401
    assert app.calls == 0
    status, headers = await ask(guard, method, path, authorization=f"Bearer {TOKEN}")
    assert (status, headers[b"x-flotilla-replica"]) == (200, b"m.0#1")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", b"/invocations"),
        ("POST", b"/v1/load_lora_adapter"),
        ("POST", b"/collective_rpc"),
        ("OPTIONS", b"/v1/chat/completions"),
        ("GET", b"/v1/models"),
        ("POST", b"/v1/chat/completions/"),
        ("POST", b"/v1/%63hat/completions"),
        ("GET", b"/docs"),
    ],
)
async def test_a_route_off_the_list_does_not_exist(method: str, path: bytes) -> None:
    guard, app = guarded()
    status, headers = await ask(guard, method, path, authorization=f"Bearer {TOKEN}")
    assert (status, headers[b"x-flotilla-replica"], app.calls) == (404, b"m.0#1", 0)


async def test_nobody_enters_before_there_is_a_token() -> None:
    guard = Guard(App(), "m.0#1")
    assert (await ask(guard, "GET", b"/health", authorization="Bearer "))[0] == 401


async def test_old_and_new_token_both_open_during_a_rotation() -> None:
    guard, _ = guarded()
    guard.accept_tokens(("new", TOKEN))
    for token in ("new", TOKEN):
        assert (await ask(guard, "GET", b"/health", authorization=f"Bearer {token}"))[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        {"content_length": str(BODY_LIMIT_BYTES + 1)},
        {"content_length": "-1"},
        {"transfer_encoding": "chunked"},
    ],
)
async def test_a_body_without_a_sane_length_is_refused(header: dict[str, str]) -> None:
    guard, app = guarded()
    bearer = f"Bearer {TOKEN}"
    status, _ = await ask(guard, "POST", b"/v1/completions", authorization=bearer, **header)
    assert (status, app.calls) == (413, 0)


async def test_it_is_idle_again_after_a_request_that_failed() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        assert not guard.idle.is_set()
        raise RuntimeError

    guard = Guard(failing, "m.0#1")
    guard.accept_tokens((TOKEN,))
    with pytest.raises(RuntimeError):
        await ask(guard, "GET", b"/health", authorization=f"Bearer {TOKEN}")
    assert guard.idle.is_set()
