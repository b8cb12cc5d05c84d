"""Checks of one value: right type, inside its bounds, or a FieldError that names it. Null never
gets here.
"""

from collections.abc import Collection
from typing import Any

from serving.errors import FieldError, quote

Json = dict[str, Any]


def wrong_type(path: str, wanted: str) -> FieldError:
    return FieldError(f"'{quote(path)}' must be {wanted}.", quote(path), "invalid_type")


def invalid(path: str, why: str) -> FieldError:
    return FieldError(f"'{quote(path)}' {why}.", quote(path), "invalid_value")


def missing(path: str) -> FieldError:
    return FieldError(f"'{quote(path)}' is required.", quote(path), "missing_required_parameter")


def unknown(path: str) -> FieldError:
    return FieldError(f"'{quote(path)}' is not a known field.", quote(path), "unknown_parameter")


def unsupported(path: str) -> FieldError:
    message = f"'{quote(path)}' is not supported by this server."
    return FieldError(message, quote(path), "unsupported_parameter")


def text(value: Any, path: str, *, most: int, least: int = 0) -> str:
    if not isinstance(value, str):
        raise wrong_type(path, "a string")
    if len(value) > most:
        message = f"'{path}' has {len(value)} characters, the most is {most}."
        raise FieldError(message, path, "string_above_max_length")
    if len(value) < least:
        raise invalid(path, "must not be empty")
    return value


def boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(path, "true or false")
    return value


def integer(value: Any, path: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(path, "an integer")
    if value > most:
        raise FieldError(f"'{path}' is above {most}.", path, "integer_above_max_value")
    if value < least:
        raise FieldError(f"'{path}' is below {least}.", path, "integer_below_min_value")
    return value


def number(value: Any, path: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(path, "a number")
    if value > most:
        raise FieldError(f"'{path}' is above {most:g}.", path, "decimal_above_max_value")
    if value < least:
        raise FieldError(f"'{path}' is below {least:g}.", path, "decimal_below_min_value")
    return float(value)


def array(value: Any, path: str, *, most: int, least: int = 0) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type(path, "a list")
    if len(value) > most:
        message = f"'{path}' has {len(value)} entries, the most is {most}."
        raise FieldError(message, path, "array_above_max_length")
    if len(value) < least:
        message = f"'{path}' has {len(value)} entries, the least is {least}."
        raise FieldError(message, path, "array_below_min_length")
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


def present(fields: Json) -> Json:
    """Null counts as absent."""
    return {name: value for name, value in fields.items() if value is not None}


def only(fields: Json, path: str, known: Collection[str]) -> Json:
    """The fields that are there, all of them known."""
    for name in fields:
        if name not in known:
            raise unknown(f"{path}.{name}" if path else name)
    return present(fields)


def needed(fields: Json, name: str, path: str) -> Any:
    if name not in fields:
        raise missing(f"{path}.{name}" if path else name)
    return fields[name]
