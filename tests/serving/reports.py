"""What a replica says of itself, for tests of those who listen."""

from serving.snapshot import Load, Phase, ReplicaReport


def replica(
    application: str = "m.0",
    start: str = "#1",
    phase: Phase = Phase.READY,
    load: Load | None = None,
) -> ReplicaReport:
    """A report of one start of a replica of the model `m`."""
    return ReplicaReport(
        replica_id=f"{application}{start}",
        application=application,
        replica_set="m",
        node="n",
        stages=("n",),
        address="n:1",
        served_name="m",
        phase=phase,
        load=load or Load(),
    )
