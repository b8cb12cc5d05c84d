"""Bytes -> plain JSON. Strict: no NaN, no lone surrogates, no numbers out of range, no byte-
order mark.
"""

from typing import Any

import msgspec

from serving.errors import FieldError

_decode = msgspec.json.Decoder().decode


def decode(body: bytes) -> Any:
    try:
        return _decode(body)
    except RecursionError:
        raise FieldError("The body is nested too deeply.", None) from None
    except UnicodeDecodeError:
        raise FieldError("The body is not valid UTF-8.", None) from None
    except msgspec.ValidationError:
        raise FieldError("The body holds a number that is out of range.", None) from None
    except msgspec.DecodeError:
        raise FieldError("The body is not valid JSON.", None) from None
