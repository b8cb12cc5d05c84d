"""Whose prompts share an engine's prefix cache: one tenant's. Pure.

How soon an answer begins tells what is in the cache (CVE-2025-46570), and whoever guesses on reads
another tenant's prompt block by block. vLLM mixes `cache_salt` into the hash of the first
block, so prompts with different salts have no block in common. A caller's own is refused.
"""

from functools import lru_cache
from hashlib import sha256

#: vLLM takes up to 128. These are 128 bits: no two tenants ever have the same.
_CHARS = 32


@lru_cache(maxsize=4096)
def salt_of(tenant: str) -> str:
    """The same at every gateway and after every restart, so that what is cached stays of use."""
    return sha256(b"flotilla prefix cache " + tenant.encode()).hexdigest()[:_CHARS]
