"""First packets of TCP that no kernel would send: odd flags, or cut in the middle of the header."""

import socket
import struct
from collections.abc import Iterator

SYN, FIN, PSH, URG, ECE, CWR = 0x02, 0x01, 0x08, 0x20, 0x40, 0x80
DISGUISES = (SYN, SYN | FIN, SYN | PSH, SYN | URG, SYN | ECE | CWR)
#: In fragments only a multiple of this can come first, so the flags come second.
CUT_BYTES = 8
MORE = 1 << 13


def segment(source: str, target: tuple[str, int], flags: int) -> bytes:
    """A header of TCP with the right checksum."""
    header = struct.pack("!HHIIBBHHH", 40000, target[1], 1, 0, 5 << 4, flags, 1024, 0, 0)
    ends = socket.inet_aton(source) + socket.inet_aton(target[0])
    checksum = _checksum(ends + struct.pack("!HH", socket.IPPROTO_TCP, len(header)) + header)
    return header[:16] + struct.pack("!H", checksum) + header[18:]


def fragments(source: str, target: tuple[str, int]) -> Iterator[bytes]:
    """The packets of IP that carry a SYN in two parts."""
    whole = segment(source, target, SYN)
    ends = socket.inet_aton(source) + socket.inet_aton(target[0])
    parts = ((MORE, whole[:CUT_BYTES]), (CUT_BYTES // 8, whole[CUT_BYTES:]))
    for where, part in parts:
        size = 20 + len(part)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, size, 77, where, 64, socket.IPPROTO_TCP, 0)
        yield ip + ends + part


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
