"""Keys: `sk-<id>-<secret>`. The id is public, the secret has 256 random bits and is stored as its
SHA-256.

A slow hash buys nothing at that entropy. Every wrong key costs the same time and gets the same
words.
"""

import hashlib
import hmac
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from serving.bounds import AUTHORIZATION_BYTES
from serving.snapshot import KeyRecord

_ID_ALPHABET = string.ascii_letters + string.digits
_ID_CHARS = 8
_SECRET_BYTES = 32
_SECRET_CHARS = 43
_PREFIX = "sk-"
_DUMMY = hashlib.sha256(b"no key has this secret").digest()

Dice = Callable[[int], bytes]
"""n -> n random bytes; `secrets.token_bytes` in production."""


@dataclass(frozen=True, slots=True)
class PrintedKey:
    id: str
    secret: str

    def __str__(self) -> str:
        return f"{_PREFIX}{self.id}-{self.secret}"

    def __repr__(self) -> str:
        return f"PrintedKey({self.id})"


def new_key(name: str, dice: Dice, now_s: int) -> tuple[str, KeyRecord]:
    """The key to show once, and the record to keep."""
    key_id = "".join(_ID_ALPHABET[b % len(_ID_ALPHABET)] for b in dice(_ID_CHARS))
    text, kept = new_secret(key_id, dice)
    return text, KeyRecord(key_id, name, kept, now_s)


def new_secret(key_id: str, dice: Dice) -> tuple[str, bytes]:
    """A key under a known id to show once, and the digest to keep."""
    secret = urlsafe_b64encode(dice(_SECRET_BYTES)).rstrip(b"=").decode()
    return str(PrintedKey(key_id, secret)), digest(secret)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def parse(text: str) -> PrintedKey | None:
    """The two parts of a printed key, or None when it cannot be one."""
    if not text.startswith(_PREFIX) or len(text) != len(_PREFIX) + _ID_CHARS + 1 + _SECRET_CHARS:
        return None
    key_id, dash, secret = text[3:11], text[11], text[12:]
    if dash != "-" or not key_id.isalnum():
        return None
    return PrintedKey(key_id, secret)


def parse_header(value: bytes) -> PrintedKey | None:
    """The key of an Authorization header; the scheme in any case, `Bearer` only."""
    if len(value) > AUTHORIZATION_BYTES or not value.isascii():
        return None
    scheme, _, rest = value.decode("ascii").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return parse(rest.strip(" "))


@dataclass(frozen=True, slots=True)
class Proof:
    """That a key was shown, and until when that says anything; wall clock, seconds."""

    record: KeyRecord
    until_s: float


def verify(key: PrintedKey | None, records: Mapping[str, KeyRecord], now_s: float) -> Proof | None:
    """What this key proves; unknown ids take the same steps as known ones."""
    record = None if key is None else records.get(key.id)
    given = digest("" if key is None else key.secret)
    is_new = hmac.compare_digest(given, _DUMMY if record is None else record.digest)
    old = None if record is None else record.old_digest
    is_old = hmac.compare_digest(given, old or _DUMMY)
    if record is None or not (is_new or is_old):
        return None
    until_s = inf if record.expires_s is None else float(record.expires_s)
    proof = Proof(record, until_s if is_new else min(until_s, record.old_until_s))
    return proof if now_s < proof.until_s else None
