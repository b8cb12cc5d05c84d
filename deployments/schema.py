"""What pydantic has against a value, as problems in the operator's words. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cluster.problem import Problem, nearest

#: What may stand under which key; "" is the top.
Schemas = Mapping[str, type[BaseModel]]
Location = tuple[int | str, ...]


def schema_problems(
    error: ValidationError,
    schemas: Schemas,
    own_words: Callable[[ErrorDetails], str | None] = lambda _: None,
) -> Iterator[Problem]:
    """One problem for each mistake, with pydantic's location as its path; `own_words` says better
    what only one kind of file can get wrong.
    """
    for details in error.errors(include_url=False):
        yield Problem(details["loc"], own_words(details) or _message(details, schemas))


def _message(details: ErrorDetails, schemas: Schemas) -> str:
    match details["type"]:
        case "extra_forbidden":
            return _unknown(details["loc"], schemas)
        case "missing":
            return "is needed"
        case "too_short":
            return "is empty: one at least is needed"
        case "value_error":
            return str(details["ctx"]["error"])
        case "string_pattern_mismatch":
            return f"`{details['input']!s:.40}` is not a name: letters, digits, `.`, `_`, `-`"
        case _:
            return f"{details['msg'].removeprefix('Input ')}, not {_shown(details['input'])}"


def _shown(value: Any) -> str:
    return f"{value!r:.40}"


def _unknown(loc: Location, schemas: Schemas) -> str:
    # An index stands for one of the things that its list is named after.
    owner = next((part for part in reversed(loc[:-1]) if isinstance(part, str)), "")
    known = schemas[owner].model_fields if owner in schemas else ()
    return f"is unknown{nearest(str(loc[-1]), known)}"
