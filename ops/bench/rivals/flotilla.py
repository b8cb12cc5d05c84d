"""Our gateway, alone and without Ray: keys, limits, routing and metering on, as in a fleet."""

from ops.bench.rivals.rival import Launch, Rival, Site
from ops.bench.upstream import REPLICA_ID

_GRACE_S = "1"


def _launch(site: Site) -> Launch:
    key_file = site.scratch / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(site.key)
    spool = site.scratch / "spool"
    spool.mkdir()
    return Launch(
        (
            *(str(site.python), "-m", "serving.gateway.standalone"),
            *("--port", str(site.port)),
            *("--upstream", site.upstream_url),
            *("--replica-id", REPLICA_ID),
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
