"""The prompt of /v1/completions: a text, token ids, or a short list of either."""

from dataclasses import dataclass
from typing import Any

from serving import bounds
from serving.protocol.check import Json, array, integer, wrong_type
from serving.protocol.kind import Listing, Text, Whole

_WANTED = "a string, a list of strings, a list of token ids, or a list of such lists"
_LONGEST = bounds.BODY_BYTES
_TEXT = Text(most=_LONGEST, least=1)
_TOKEN = Whole(0, bounds.TOKENS)


@dataclass(frozen=True, slots=True)
class _Ids:
    """Token ids, many perhaps. Whether one is in the vocabulary is the engine's to say."""

    def __call__(self, value: Any, path: str) -> list[int]:
        ids = array(value, path, most=_LONGEST, least=1)
        for index, token in enumerate(ids):
            if type(token) is not int or not 0 <= token <= bounds.TOKENS:
                ids[index] = integer(token, f"{path}[{index}]", 0, bounds.TOKENS)
        return ids

    def describe(self) -> Json:
        return Listing(_TOKEN, most=_LONGEST, least=1).describe()


_IDS = _Ids()
_TEXTS = Listing(_TEXT, most=bounds.PROMPTS, least=1)
_LISTS_OF_IDS = Listing(_IDS, most=bounds.PROMPTS, least=1)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Which of the four shapes a list is, its first entry says."""

    def __call__(self, value: Any, path: str) -> str | list[int] | list[str] | list[list[int]]:
        if isinstance(value, str):
            return _TEXT(value, path)
        if not isinstance(value, list):
            raise wrong_type(path, _WANTED)
        first = array(value, path, most=_LONGEST, least=1)[0]
        if isinstance(first, int | float):
            return _IDS(value, path)
        if isinstance(first, str):
            return _TEXTS(value, path)
        if isinstance(first, list):
            return _LISTS_OF_IDS(value, path)
        raise wrong_type(path, _WANTED)

    def describe(self) -> Json:
        return {"anyOf": [kind.describe() for kind in (_TEXT, _IDS, _TEXTS, _LISTS_OF_IDS)]}
