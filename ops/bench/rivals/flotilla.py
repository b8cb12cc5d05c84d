"""Our gateway, alone and without Ray: keys, limits, routing and metering on, as in a fleet."""

from itertools import chain

from ops.bench.rivals.rival import Launch, Rival, Site
from ops.bench.upstream import REPLICA_ID

_GRACE_S = "1"


def _launch(site: Site) -> Launch:
    plain = launch(site)
    return Launch((*plain.argv, "--replica-id", REPLICA_ID))


def launch(site: Site) -> Launch:
    """In front of all the site's engines, whatever they call themselves."""
    key_file = site.scratch / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(site.key)
    spool = site.scratch / "spool"
    spool.mkdir()
    return Launch(
        (
            *(str(site.python), "-m", "serving.gateway.standalone"),
            *("--port", str(site.port)),
            *chain.from_iterable(("--upstream", url) for url in site.upstream_urls),
            *("--model", site.model),
            *("--key-file", str(key_file)),
            *("--spool", str(spool)),
            *("--grace", _GRACE_S),
        )
    )


RIVAL = Rival(
    name="flotilla",
    setup="one process, standalone; keys, limits, routing and metering on",
    launch=_launch,
    distributions=("uvloop", "httptools"),
)
