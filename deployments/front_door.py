"""A fleet on its inventory becomes an HAProxy config: the one public address in front of all
gateways. Pure: the same fleet and nodes give the same text.

Rules
- A request that a gateway may have taken is never sent again; only one whose connection could not
  be made is, and to another node.
- Kept connections are closed by HAProxy, earlier than a gateway would: a request must not meet the
  close of an idle one. A gateway that leaves goes on for longer than HAProxy needs to notice it.
- Nothing is buffered, and nothing is cut before our own deadline.
- What HAProxy says itself about a request has the envelope of our own errors.
- Statistics are on a socket of the machine, never on the public side.
"""

from collections.abc import Iterator

from cluster.inventory import Inventory, Node
from cluster.problem import Problem
from deployments.errors import FleetBlocked
from deployments.fleet import Fleet
from deployments.render import DEADLINE_S
from serving.bounds import HEADER_COUNT
from serving.errors import ApiError, Refusal, envelope, headers

#: Chain and key in one file, as HAProxy wants them.
CERTIFICATE = "/etc/haproxy/flotilla.pem"
#: Whom to trust as a gateway where gateways speak TLS.
GATEWAY_CA = "/etc/haproxy/flotilla-gateways.pem"
#: Above our own deadline, so that the answer is ours.
MARGIN_S = 30
#: A client that says nothing for longer has lost its connection, or means harm.
HEADERS_S = 10
#: Below a gateway's own.
KEEP_ALIVE_S = 60
CONNECT_S = 2
#: An answer of HAProxy's own, by its status. What is not HTTP it refuses below the level where
#: these are looked at, with a page of its own.
_ANSWERS = {
    500: ApiError(Refusal.INTERNAL, "This is a fault of ours."),
    502: ApiError(Refusal.UPSTREAM_ERROR, "The gateway failed before it answered."),
    503: ApiError(Refusal.OVERLOADED, "No gateway is there to answer.", retry_after_s=5),
    504: ApiError(Refusal.DEADLINE_EXCEEDED, "The request took too long."),
}


def render_front_door(fleet: Fleet, inventory: Inventory) -> str:
    """The whole config. Raises FleetBlocked."""
    _check_host(fleet, inventory)
    parts = (_GLOBAL, _defaults(), _FRONTEND, _backend(fleet, inventory))
    return "\n".join(parts)


def _check_host(fleet: Fleet, inventory: Inventory) -> None:
    host = fleet.gateway.host
    if _is_loopback(host) and not all(_is_loopback(node.address) for node in inventory.nodes):
        message = f"is {host}, where no other machine gets through: write `host: 0.0.0.0`"
        raise FleetBlocked([Problem(("gateway", "host"), message)])


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address in ("localhost", "::1")


def _defaults() -> str:
    answers = "\n".join(_answer(status, error) for status, error in _ANSWERS.items())
    longest_s = DEADLINE_S + MARGIN_S
    return _DEFAULTS.format(
        longest_s=longest_s,
        headers_s=HEADERS_S,
        keep_alive_s=KEEP_ALIVE_S,
        connect_s=CONNECT_S,
        answers=answers,
    )


def _answer(status: int, error: ApiError) -> str:
    # The status is HAProxy's own, so the row's does not count.
    lines = dict(headers(error)) | {b"cache-control": b"no-store"}
    lines.pop(b"content-type")
    shown = "".join(f" hdr {name.decode()} {value.decode()}" for name, value in lines.items())
    body = f"content-type application/json string '{envelope(error).decode()}'"
    return f"    http-error status {status} {body}{shown}"


def _backend(fleet: Fleet, inventory: Inventory) -> str:
    servers = "\n".join(_servers(fleet, inventory.nodes))
    tls = "" if fleet.gateway.tls is None else _TO_TLS
    return _BACKEND.format(servers=servers, tls=tls)


def _servers(fleet: Fleet, nodes: tuple[Node, ...]) -> Iterator[str]:
    width = max(len(node.name) for node in nodes)
    for node in nodes:
        yield f"    server {node.name:{width}} {node.address}:{fleet.gateway.port}"


_GLOBAL = f"""\
# Made by `flotilla render-front-door`; what it does and how to use it: ops/front_door/README.md.
global
    log /dev/log local0
    user haproxy
    group haproxy
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 600 level admin
    maxconn 20000
    tune.http.maxhdr {HEADER_COUNT}
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20
    # After a reload the old process lets its streams end.
    hard-stop-after {DEADLINE_S + MARGIN_S}s
"""
_DEFAULTS = """\
defaults
    mode http
    log global
    option httplog
    option dontlognull
    option http-no-delay
    # A client that leaves takes its request with it.
    option abortonclose
    option http-keep-alive
    # Only what could not be sent is sent again, and to another node.
    retries 3
    retry-on conn-failure
    option redispatch 1
    # A node without power says nothing: this is how it is found out under a stream.
    option srvtcpka
    srvtcpka-idle 10s
    srvtcpka-intvl 5s
    srvtcpka-cnt 3
    option clitcpka
    clitcpka-idle 30s
    clitcpka-intvl 10s
    clitcpka-cnt 3
    timeout http-request {headers_s}s
    timeout http-keep-alive {keep_alive_s}s
    timeout connect {connect_s}s
    timeout client {longest_s}s
    timeout server {longest_s}s
    timeout client-fin {headers_s}s
    timeout server-fin {headers_s}s
{answers}
"""
_FRONTEND = f"""\
frontend public
    bind :::443 v4v6 ssl crt {CERTIFICATE} alpn http/1.1 tcp-ut 30s
    http-request del-header forwarded
    http-request del-header x-real-ip
    http-request set-header x-forwarded-for %[src]
    http-request set-header x-forwarded-proto https
    http-response set-header strict-transport-security max-age=31536000
    default_backend gateways
"""
_BACKEND = """\
backend gateways
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr host front-door
    http-check expect status 200
    default-server check inter 1s fastinter 250ms fall 2 rise 1 init-addr last,libc,none{tls}
{servers}
"""
_TO_TLS = f" ssl verify required ca-file {GATEWAY_CA} alpn http/1.1"
