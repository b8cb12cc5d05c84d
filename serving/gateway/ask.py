"""What of a request routing looks at: how long its prompt is, how it begins, whose it is."""

from typing import Protocol

from serving.gateway.config import Catalogue, Model
from serving.protocol import Checked
from serving.routing import prefix
from serving.routing.route import Ask


class Caller(Protocol):
    """Who asks; an exchange is one."""

    @property
    def holder(self) -> str: ...
    @property
    def session(self) -> bytes | None: ...


def ask_of(caller: Caller, checked: Checked, model: Model, catalogue: Catalogue) -> Ask:
    """A short prompt costs one comparison: what fills no block is not looked at."""
    tokens = checked.body_bytes / prefix.BYTES_PER_TOKEN
    most = None if checked.max_tokens is None else checked.max_tokens * checked.n
    session = caller.session
    is_short = checked.body_bytes < prefix.BLOCK_BYTES
    if catalogue.routing != "prefix" or (is_short and session is None):
        return Ask(tokens, most)
    space = prefix.space_of(caller.holder, model.replica_set)
    key = None if session is None else prefix.of_session(space, session)
    if is_short:
        return Ask(tokens, most, session=key)
    text = checked.prompt_bytes()
    tokens = len(text) / prefix.BYTES_PER_TOKEN
    return Ask(tokens, most, prefix.of_text(space, text), key)
