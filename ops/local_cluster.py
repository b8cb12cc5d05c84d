"""Points this process at the cluster that `flotilla up` started on this machine."""

import os

from cluster.local import LocalRay
from serving.keystore import home


def adopt_local_cluster() -> None:
    """Lets this process find that cluster, unless it was told of another."""
    ray = LocalRay.started_in(home())
    for name, value in (ray.environment() if ray else {}).items():
        os.environ.setdefault(name, value)
