"""A further stage of a replica: one actor that runs vLLM's headless executor on its own bundle."""

import ray

from serving.replica.engine import Rendezvous, run_stage, set_environment, stage_argv
from serving.replica.network import interface_of, node_address
from serving.replica.spec import ReplicaSpec
from serving.replica.warden import guard_this_process
from serving.replica.weights import located


class Follower:
    """Lives and dies with its leader: Ray ends an actor whose owner is gone, the warden its
    workers.
    """

    def __init__(self, spec: ReplicaSpec) -> None:
        self._spec = spec
        self._address = node_address()
        warden = guard_this_process()
        set_environment(spec, self._address, interface_of(self._address), warden.folder)

    def address(self) -> str:
        """The address of the node where this stage was placed."""
        return self._address

    def run(self, rendezvous: Rendezvous) -> None:
        """Serves the stage; returning means that a worker of it has died."""
        run_stage(stage_argv(located(self._spec, self._address), rendezvous))


FollowerActor = ray.remote(Follower)
