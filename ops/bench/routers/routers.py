"""Who is compared, each as its own documentation would have it for this traffic.

Both peers' timers and thresholds count in seconds of the wall, which pass SPEED times as slowly as
the engines': where a router polls its engines, its interval is shortened to make up for it.
"""

from ops.bench.rivals import flotilla, vllm_router
from ops.bench.rivals.rival import LOOPBACK, Launch, Rival, Site

_SMG = "smg"
#: Tokens; large enough that every prompt of the trace fits by its bytes and nobody has to count.
_WINDOW = "1000000"


def _flotilla(site: Site) -> Launch:
    return Launch((*flotilla.launch(site).argv, "--window", _WINDOW))


def _smg(policy: str, *options: str) -> Rival:
    chosen = ("--policy", policy, *options, "--load-monitor-interval", "1", "--log-level", "error")

    def launch(site: Site) -> Launch:
        return Launch(
            (
                *(site.command(_SMG), "launch"),
                *("--host", LOOPBACK, "--port", str(site.port)),
                *("--worker-urls", *site.upstream_urls),
                *chosen,
                *("--prometheus-host", LOOPBACK, "--prometheus-port", str(site.spare_ports[0])),
            )
        )

    return Rival(
        name=f"smg {policy}",
        setup=f"{' '.join(chosen)}; no keys, no metering",
        launch=launch,
        packages=("smg==1.13.0",),
        distributions=(_SMG,),
        home=_SMG,
    )


#: Nothing between: the load asks the engines in turn.
ROUND_ROBIN = Rival(
    name="round robin", setup="no router: the load asks the engines in turn", launch=None
)
OURS = Rival(
    name="flotilla",
    setup=f"one process, standalone; keys, limits and metering on; --window {_WINDOW}",
    launch=_flotilla,
    distributions=("uvloop", "httptools"),
)

ALL: tuple[Rival, ...] = (
    ROUND_ROBIN,
    OURS,
    _smg("cache_aware"),
    _smg("power_of_two"),
    _smg("round_robin"),
    vllm_router.rival("vllm-router cache_aware", "--policy", "cache_aware"),
    vllm_router.rival("vllm-router power_of_two", "--policy", "power_of_two"),
)
