"""Tokens that open one route of a private port and nothing else. Pure.

They follow from the internal token, so whoever has that one needs no second secret, and whoever has
one of these, such as a Prometheus, can neither use an engine with it nor read another route.
"""

import hashlib
import hmac

_METRICS = b"flotilla /metrics"
_REQUESTS = b"flotilla /requests"


def metrics_token(internal_token: str) -> str:
    """256 bits in hexadecimal."""
    return _derived(internal_token, _METRICS)


def requests_token(internal_token: str) -> str:
    """What opens a gateway's list of its requests in flight, which names tenants and keys."""
    return _derived(internal_token, _REQUESTS)


def _derived(internal_token: str, purpose: bytes) -> str:
    return hmac.new(internal_token.encode(), purpose, hashlib.sha256).hexdigest()
