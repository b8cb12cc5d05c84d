"""How a gateway that leaves gives its port to the other one of its node and loses no connection.

Two listening sockets share a port; the kernel spreads new connections over both, and what waits in
the accept queue of a socket that closes is reset. So before closing, new connections are steered to
the other socket by a classic BPF program on the group, which says the index of the socket to take.
Our own index is found by trying: steer to 0, connect to ourselves, look who accepted. After a while
in which half-open handshakes end and the queue is emptied, our socket can close.

An index beyond the group means "by hash, as usual", so the program left behind does no harm to a
gateway that is alone; the next one that starts takes it off, or no connection would come to it. It
listens by then: a socket that is only bound is not in the group yet.
"""

import ctypes
import socket
import struct

_SO_ATTACH_REUSEPORT_CBPF = 51
_SO_DETACH_REUSEPORT_BPF = 68
_RETURN_CONSTANT = 0x06


def steer(sock: socket.socket, index: int) -> bool:
    """Sends every new connection of the port to the socket of this index; False if we cannot."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN_CONSTANT, 0, 0, index))
    pointer = struct.pack("HL", 1, ctypes.addressof(program))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, pointer)
    except OSError:
        return False
    return True


def unsteer(sock: socket.socket) -> None:
    """Takes off what a gateway that left has put on, if anything; `sock` listens."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_REUSEPORT_BPF, 0)
    except OSError:
        return
