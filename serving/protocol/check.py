"""Checks of one value: right type, inside its bounds, or a FieldError that names it. Null never
gets here.
"""

from collections.abc import Collection
from typing import Any

from serving.errors import FieldError, quote

Json = dict[str, Any]


#: Characters; deeper than that a path helps nobody.
_PATH_LIMIT = 200


def _wrong(path: str, why: str, code: str) -> FieldError:
    shown = path if len(path) <= _PATH_LIMIT else path[: _PATH_LIMIT - 3] + "..."
    return FieldError(f"'{shown}' {why}.", shown, code)


def below(path: str, name: str) -> str:
    """The path of a field; its name may be the caller's own, so it is made short and printable."""
    return f"{path}.{quote(name)}" if path else quote(name)


def wrong_type(path: str, wanted: str) -> FieldError:
    return _wrong(path, f"must be {wanted}", "invalid_type")


def invalid(path: str, why: str) -> FieldError:
    return _wrong(path, why, "invalid_value")


def missing(path: str) -> FieldError:
    return _wrong(path, "is required", "missing_required_parameter")


def unknown(path: str) -> FieldError:
    return _wrong(path, "is not a known field", "unknown_parameter")


def unsupported(path: str, instead: str = "") -> FieldError:
    advice = f": {instead}" if instead else ""
    return _wrong(path, f"is not supported by this server{advice}", "unsupported_parameter")


def text(value: Any, path: str, *, most: int, least: int = 0) -> str:
    if not isinstance(value, str):
        raise wrong_type(path, "a string")
    if len(value) > most:
        why = f"has {len(value)} characters, the most is {most}"
        raise _wrong(path, why, "string_above_max_length")
    if len(value) < least:
        raise invalid(path, "must not be empty")
    return value


def boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(path, "true or false")
    return value


def integer(value: Any, path: str, least: int, most: int) -> int:
    """JSON has one kind of number: 4.0 is an integer."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(path, "an integer")
    if value > most:
        raise _wrong(path, f"is above {most}", "integer_above_max_value")
    if value < least:
        raise _wrong(path, f"is below {least}", "integer_below_min_value")
    return value


def number(value: Any, path: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(path, "a number")
    if value > most:
        raise _wrong(path, f"is above {most:g}", "decimal_above_max_value")
    if value < least:
        raise _wrong(path, f"is below {least:g}", "decimal_below_min_value")
    return float(value)


def array(value: Any, path: str, *, most: int, least: int = 0) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type(path, "a list")
    if len(value) > most:
        why = f"has {len(value)} entries, the most is {most}"
        raise _wrong(path, why, "array_above_max_length")
    if len(value) < least:
        why = f"has {len(value)} entries, the least is {least}"
        raise _wrong(path, why, "array_below_min_length")
    return value


def record(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object")
    return value


def one_of(value: Any, path: str, choices: Collection[str]) -> str:
    if not isinstance(value, str):
        raise wrong_type(path, "a string")
    if value not in choices:
        raise invalid(path, f"must be one of {', '.join(sorted(choices))}")
    return value
