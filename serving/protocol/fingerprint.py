"""What makes two requests the same to an engine, so that one that killed replicas is known again.

Decides nothing. Not on the path of a request as long as nothing has died.
"""

from hashlib import blake2b

import msgspec

from serving.protocol.body import Checked

#: How an answer is sent and whose it is changes nothing for the engine; its name for the model is
#: filled in on the way.
_IMMATERIAL = ("stream", "stream_options", "user", "model")
SIZE_BYTES = 16


def fingerprint(checked: Checked, replica_set: str) -> bytes:
    """Of the body as it is checked, for the replicas of one model; `SIZE_BYTES` long."""
    fields = {name: value for name, value in checked.plain().items() if name not in _IMMATERIAL}
    # Before and after the gateway has filled in a limit.
    fields["max_tokens"] = checked.max_tokens
    text = msgspec.json.encode(fields, order="sorted")
    return blake2b(
        text, digest_size=SIZE_BYTES, person=b"quarantine", key=_key(replica_set)
    ).digest()


def _key(replica_set: str) -> bytes:
    return blake2b(replica_set.encode(), digest_size=32).digest()
