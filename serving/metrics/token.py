"""The token that opens `/metrics` and nothing else. Pure.

It follows from the internal token, so whoever has that one needs no second secret, and whoever has
this one, a Prometheus, cannot use an engine with it.
"""

import hashlib
import hmac

_PURPOSE = b"flotilla /metrics"


def metrics_token(internal_token: str) -> str:
    """256 bits in hexadecimal."""
    return hmac.new(internal_token.encode(), _PURPOSE, hashlib.sha256).hexdigest()
