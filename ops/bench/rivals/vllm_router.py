"""vLLM's own router, in Rust. It has no client keys and meters nothing: it does less than we do."""

from ops.bench.rivals.rival import LOOPBACK, Launch, Rival, Site


def _launch(site: Site) -> Launch:
    return Launch(
        (
            site.command("vllm-router"),
            *("--host", LOOPBACK, "--port", str(site.port)),
            *("--worker-urls", site.upstream_url),
            *("--policy", "round_robin"),
            *("--log-level", "error"),
            *("--prometheus-host", LOOPBACK, "--prometheus-port", str(site.spare_ports[0])),
        )
    )


RIVAL = Rival(
    name="vllm-router",
    setup="--policy round_robin --log-level error; no keys, no metering",
    launch=_launch,
    packages=("vllm-router==0.1.17",),
    distributions=("vllm-router",),
)
