"""HTTP chunks of the size of a token: made and recognised by a table, without a parser.

The length of a read says which size line it must open with to be one chunk and nothing else.
Whoever asks must know that the read begins where a chunk may begin.
"""

_CRLF = b"\r\n"
#: Larger chunks are rare and worth arithmetic and a parser.
_LARGEST_BYTES = 4_095
_SIZE_LINES = tuple(b"%x\r\n" % size for size in range(_LARGEST_BYTES + 1))


def _openings() -> tuple[bytes, ...]:
    longest = len(_SIZE_LINES[-1]) + _LARGEST_BYTES + len(_CRLF)
    by_length = [b""] * (longest + 1)
    for size, line in enumerate(_SIZE_LINES):
        if size:  # an empty chunk is the end of its body and no chunk of it
            by_length[len(line) + size + len(_CRLF)] = line
    return tuple(by_length)


#: The size line of a chunk by the length of all its bytes; empty where no chunk has that length.
_OPENINGS = _openings()
_END_OF_OPENINGS = len(_OPENINGS)


def chunk(data: bytes) -> bytes:
    size = len(data)
    if size <= _LARGEST_BYTES:
        return _SIZE_LINES[size] + data + _CRLF
    return b"%x\r\n%b\r\n" % (size, data)


def sole_chunk(data: bytes) -> bytes:
    """The content, if `data` is exactly one chunk as uvicorn frames it; otherwise nothing."""
    length = len(data)
    if length < _END_OF_OPENINGS:
        opening = _OPENINGS[length]
        if opening and data.startswith(opening) and data.endswith(_CRLF):
            return data[len(opening) : -2]
    return b""
