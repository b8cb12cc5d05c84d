"""What of a request routing looks at: how long its prompt is, how it begins, whose it is."""

from serving.gateway.config import Catalogue, Model
from serving.gateway.exchange import Exchange
from serving.protocol import Checked
from serving.routing import prefix
from serving.routing.route import Ask


def ask_of(exchange: Exchange, checked: Checked, model: Model, catalogue: Catalogue) -> Ask:
    """A short prompt costs one comparison: what fills no block is not looked at."""
    tokens = checked.body_bytes / prefix.BYTES_PER_TOKEN
    most = None if checked.max_tokens is None else checked.max_tokens * checked.n
    session = exchange.head.headers.get(b"x-session-id")
    is_short = checked.body_bytes < prefix.BLOCK_BYTES
    if catalogue.routing != "prefix" or (is_short and session is None):
        return Ask(tokens, most)
    space = prefix.space_of(exchange.key_id, model.replica_set)
    key = None if session is None else prefix.of_session(space, session)
    if is_short:
        return Ask(tokens, most, session=key)
    text = checked.prompt_bytes()
    tokens = len(text) / prefix.BYTES_PER_TOKEN
    return Ask(tokens, most, prefix.of_text(space, text), key)
