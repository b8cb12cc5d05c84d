"""Tables of the API, made from what answers: the routes, the fields and their bounds, every
refusal. A refusal without a meaning raises.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from ops.docs.comment import meanings
from ops.docs.file_reference import FieldUndescribed
from ops.docs.table import table
from ops.docs.wording import Json, bounds, kind
from serving.bounds import Deadlines
from serving.errors import Refusal, Row
from serving.gateway.openapi import describe
from serving.protocol import field
from serving.protocol.kind import NO_EFFECT, NOT_HERE, Record

_RETRY = {None: "", True: "yes", False: "no"}


def error_table() -> str:
    """Every refusal that a client can see. Raises FieldUndescribed."""
    head = ("status", "`type`", "`code`", "when", "repeated by clients")
    return table(head, _errors())


def _errors() -> Iterator[Sequence[str]]:
    said = meanings(Refusal)
    for refusal in sorted(Refusal, key=lambda each: each.value.status):
        if refusal.name not in said:
            raise FieldUndescribed(f"Refusal.{refusal.name} has no `#:` comment")
        row = refusal.value
        code = "`null`" if row.code is None else f"`{row.code}`"
        ends = " The connection ends." if row.closes else ""
        yield str(row.status), f"`{row.type}`", code, said[refusal.name] + ends, _is_repeated(row)


def _is_repeated(row: Row) -> str:
    """What OpenAI's clients do: our word first, then the status."""
    if row.should_retry is not None:
        return _RETRY[row.should_retry]
    return "yes" if row.status in (408, 409, 429) or row.status >= 500 else "no"


def route_table() -> str:
    rows = (
        (f"`{method.upper()} {path}`", _key(operation), operation["summary"])
        for path, operations in describe()["paths"].items()
        for method, operation in operations.items()
    )
    return table(("route", "key", "what it does"), rows)


def _key(operation: Json) -> str:
    return "no" if operation.get("security") == [] else "yes"


def body_table(record: Record) -> str:
    """The fields of a request's body, those that are taken first."""
    schema = record.describe()
    needed = schema.get("required", ())
    rows = (
        (f"`{name}`", kind(value), bounds(value), _class(name in needed, value))
        for name, value in schema["properties"].items()
    )
    return table(("field", "what it is", "bounds", ""), sorted(rows, key=_order))


_CLASSES = ("*needed*", "", "without effect", "refused")


def _class(is_needed: bool, value: Json) -> str:
    said = {NO_EFFECT: "without effect", NOT_HERE: "refused"}.get(value.get("description", ""), "")
    return "*needed*" if is_needed else said


def _order(row: Sequence[str]) -> tuple[int, str]:
    return _CLASSES.index(row[3]), row[0]


def chat_table() -> str:
    return body_table(field.CHAT)


def completion_table() -> str:
    return body_table(field.COMPLETION)


def deadline_table() -> str:
    """How long a gateway waits for what."""
    said = meanings(Deadlines)
    rows = ((f"{each.default:g} s", said[each.name]) for each in fields(Deadlines))
    return table(("at most", "for"), rows)
