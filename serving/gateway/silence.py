"""A peer that goes without a word, as one does whose network or power is cut: only the kernel can
find out, by asking.
"""

import socket


def give_up_after(sock: socket.socket, seconds: int) -> None:
    """Connections of this socket are lost once their peer has acknowledged nothing for about so
    long, be it data or the question whether it is there.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds // 2)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds // 4)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
