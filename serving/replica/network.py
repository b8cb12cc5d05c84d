"""This node's address as Ray knows it, and ports and interfaces that go with it."""

import ipaddress
import socket

import psutil
import ray


def node_address() -> str:
    """The address that other nodes reach this one by."""
    return str(ray.util.get_node_ip_address())


def interface_of(address: str) -> str:
    """The name of the interface that carries `address`. gloo picks a wrong one when left alone."""
    if ipaddress.ip_address(address).is_loopback:
        return "lo"  # all of 127.0.0.0/8 is there, though only one address of it is listed
    for name, addresses in psutil.net_if_addrs().items():
        if any(entry.address == address for entry in addresses):
            return str(name)
    raise OSError(f"no interface of this node carries {address}")


def listening_socket(address: str) -> socket.socket:
    """A socket bound to a port of the system's choice."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.bind((address, 0))
    return sock


def free_port(address: str) -> int:
    """A port that was free a moment ago; when another takes it the start fails, and is repeated."""
    with listening_socket(address) as sock:
        return int(sock.getsockname()[1])
