"""The corpus as values: what is sent, byte for byte, and what must come back.

A file has a `route` (`POST /v1/...`), a body `whole` that cases change, and `cases`. A case says
what it sends in one of these ways:

    with, without   fields put into `whole` or taken out of it
    body            another JSON value
    text, bytes     the body as it goes over the wire: UTF-8, or one byte a character
    lines, then     the request line and header lines, and what follows the empty line

`method`, `path` and `headers` (null takes one away) change the rest of the request. What it expects
is a 400 of type `invalid_request_error` with no `code` and no `param` unless it says otherwise; a
list of statuses or codes means any of them. `engine: 1` says that the engine is asked, `sees` with
which fields. %KEY% is a good key, %STRANGER% one that nobody knows, %FORGED% the id of the first
with the secret of the second, %AUTH% the header with the first.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.serving.gateway.rig import KEY, OTHER_KEY, model

Json = dict[str, Any]
FOLDER = Path(__file__).parent
ERROR = "invalid_request_error"
#: That cases ask for.
MODELS = [
    model(aliases=["small"]),
    model("empty"),
    model("gone", unavailable="Its weights were never published."),
]


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    request: bytes
    #: Any of these.
    statuses: tuple[int, ...]
    codes: tuple[str | None, ...]
    param: str | None
    #: Calls of the engine.
    calls: int = 0
    #: Fields of the engine's body.
    sees: Json = field(default_factory=dict)
    #: Header lines that the answer has.
    answers: Json = field(default_factory=dict)

    @property
    def is_head(self) -> bool:
        return self.request.startswith(b"HEAD ")


def count(body: dict[str, Any]) -> int:
    """The tokenizer that cases expect: four bytes to a token and no template."""
    texts = [body["prompt"]] if "prompt" in body else [m["content"] for m in body["messages"]]
    return sum(len(str(text).encode()) for text in texts) // 4


class _Loader(yaml.SafeLoader):
    """YAML with a few words for values too long to write down."""


def _sequence(build: Callable[..., Any]) -> Callable[[_Loader, yaml.SequenceNode], Any]:
    return lambda loader, node: build(*loader.construct_sequence(node, deep=True))


def _schema(depth: int) -> Json:
    inner: Json = {"type": "object"}
    for _ in range(depth):
        inner = {"type": "object", "properties": {"x": inner}}
    return inner


def _numbered(count: int, template: Any) -> list[Any]:
    text = json.dumps(template)
    return [json.loads(text.replace("%d", str(n))) for n in range(count)]


#: `!times [n, text]`, `!list [n, value]`, `!numbered [n, value with %d]`, `!entries [n, value]`,
#: `!around [n, left, right, middle]`, `!join [text, ...]`, `!schema [depth]`.
_WORDS: dict[str, Callable[..., Any]] = {
    "times": lambda count, text: text * count,
    "list": lambda count, value: [value] * count,
    "numbered": _numbered,
    "entries": lambda count, value: {str(n): value for n in range(count)},
    "around": lambda count, left, right, middle: left * count + middle + right * count,
    "join": lambda *texts: "".join(texts),
    "schema": _schema,
}
for _word, _build in _WORDS.items():
    _Loader.add_constructor(f"!{_word}", _sequence(_build))

_KNOWN = frozenset(
    [
        "id",
        "with",
        "without",
        "body",
        "text",
        "bytes",
        "lines",
        "then",
        "method",
        "path",
        "headers",
        "status",
        "code",
        "param",
        "engine",
        "sees",
        "answers",
    ]
)


def corpus() -> Iterator[Case]:
    for path in sorted(FOLDER.glob("*.yaml")):
        page = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader
        for given in page["cases"]:
            unknown = set(given) - _KNOWN
            if unknown:
                raise ValueError(f"{path.name}: {given['id']}: {sorted(unknown)} mean nothing")
            yield _case(given, page)


def _case(given: Json, page: Json) -> Case:
    status = given.get("status", 400)
    code = given.get("code")
    return Case(
        given["id"],
        _request(given, page),
        tuple(status) if isinstance(status, list) else (status,),
        tuple(code) if isinstance(code, list) else (code,),
        given.get("param"),
        given.get("engine", 0),
        given.get("sees", {}),
        given.get("answers", {}),
    )


def _request(given: Json, page: Json) -> bytes:
    if "lines" in given:
        head = "\r\n".join(given["lines"]) + "\r\n\r\n"
        return _bytes(head + given.get("then", ""))
    method, path = page["route"].split(" ")
    body = _body(given, page)
    headers: Json = {"Host": "gateway", "Authorization": "Bearer %KEY%"}
    if body is not None:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= given.get("headers", {})
    lines = [f"{given.get('method', method)} {given.get('path', path)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return _bytes("\r\n".join(lines) + "\r\n\r\n") + (body or b"")


def _body(given: Json, page: Json) -> bytes | None:
    if "text" in given:
        return str(given["text"]).encode()
    if "bytes" in given:
        return str(given["bytes"]).encode("latin-1")
    if "body" in given:
        return json.dumps(given["body"]).encode()
    if "whole" not in page:
        return None
    whole = {**page["whole"], **given.get("with", {})}
    for name in given.get("without", ()):
        del whole[name]
    return json.dumps(whole).encode()


def _bytes(text: str) -> bytes:
    text = text.replace("%AUTH%", f"Authorization: Bearer {KEY}")
    keys = {"%KEY%": KEY, "%STRANGER%": OTHER_KEY, "%FORGED%": KEY[:12] + OTHER_KEY[12:]}
    for word, key in keys.items():
        text = text.replace(word, key)
    return text.encode("latin-1")
