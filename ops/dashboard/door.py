"""Who may look and who may act. No I/O: clock and dice are parameters.

Rules
1. A host by name may be anybody's name (DNS rebinding): addresses, `localhost` and the name that
   the dashboard was told to listen on are answered, nothing else.
2. Beyond loopback nothing is shown to who has not signed in. Nobody acts without, anywhere.
3. A post comes from a page of ours: its origin is our host, and it brings the session's token.
4. The key is compared in constant time. Sessions end by themselves, and there are only so many.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

SESSION_S = 12 * 3600.0
#: The one that would end first makes room.
MOST_SESSIONS = 64
NAME_CHARS = 32

Dice = Callable[[], str]
"""A new secret that nobody can guess."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has signed in."""

    #: As written into the audit; his own word.
    name: str
    csrf_token: str
    until_s: float


class Door:
    def __init__(self, key: str, host: str, now_s: Callable[[], float], dice: Dice) -> None:
        self._key = key
        self._host = host.lower()
        self._now_s = now_s
        self._dice = dice
        self._visitors: dict[str, Visitor] = {}
        #: Whether who comes may look without a key.
        self.is_open = is_loopback(host)

    def is_known_host(self, header: str) -> bool:
        """Rule 1, for a Host header."""
        name = _hostname(header)
        return name in ("localhost", self._host) or _is_address(name)

    def is_own_page(self, headers: Mapping[str, str]) -> bool:
        """Rule 3, for the headers of a post: what a browser says of where it comes from."""
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")

    def sign_in(self, name: str, key: str) -> str | None:
        """A session, or None for a wrong key or for no name."""
        name = name.strip()
        is_named = 0 < len(name) <= NAME_CHARS and name.isprintable()
        if not hmac.compare_digest(key.strip().encode(), self._key.encode()) or not is_named:
            return None
        self._make_room()
        session = self._dice()
        self._visitors[session] = Visitor(name, self._dice(), self._now_s() + SESSION_S)
        return session

    def visitor(self, session: str) -> Visitor | None:
        found = self._visitors.get(session)
        return found if found is not None and self._now_s() < found.until_s else None

    def sign_out(self, session: str) -> None:
        self._visitors.pop(session, None)

    def _make_room(self) -> None:
        now_s = self._now_s()
        self._visitors = {at: each for at, each in self._visitors.items() if now_s < each.until_s}
        if len(self._visitors) >= MOST_SESSIONS:
            del self._visitors[min(self._visitors, key=lambda at: self._visitors[at].until_s)]


def is_token(visitor: Visitor | None, token: str) -> bool:
    """Whether it is the token of this visitor's session."""
    if visitor is None:
        return False
    return hmac.compare_digest(token.encode(), visitor.csrf_token.encode())


def is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _hostname(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
