"""vLLM's own router, in Rust. It has no client keys and meters nothing: it does less than we do."""

from ops.bench.rivals.rival import LOOPBACK, Launch, Rival, Site

_NAME = "vllm-router"


def rival(name: str, *options: str) -> Rival:
    """The router under one policy."""

    def launch(site: Site) -> Launch:
        return Launch(
            (
                site.command(_NAME),
                *("--host", LOOPBACK, "--port", str(site.port)),
                *("--worker-urls", *site.upstream_urls),
                *options,
                *("--log-level", "error"),
                *("--prometheus-host", LOOPBACK, "--prometheus-port", str(site.spare_ports[0])),
            )
        )

    return Rival(
        name=name,
        setup=f"{' '.join(options)} --log-level error; no keys, no metering",
        launch=launch,
        packages=("vllm-router==0.1.17",),
        distributions=(_NAME,),
        home=_NAME,
    )


RIVAL = rival(_NAME, "--policy", "round_robin")
