"""Bodies of posts, bounded."""

from urllib.parse import parse_qsl

from starlette.requests import Request

MOST_FORM_BYTES = 16 << 10
MOST_FIELDS = 32


class TooLarge(Exception):
    """More than its route takes."""


async def bounded(request: Request, most_bytes: int) -> bytes:
    """The whole body. Raises TooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge
    return bytes(body)


async def form(request: Request, most_bytes: int = MOST_FORM_BYTES) -> dict[str, str]:
    """The fields of a form, the last of each name. Raises TooLarge."""
    body = await bounded(request, most_bytes)
    text = body.decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise TooLarge from error
