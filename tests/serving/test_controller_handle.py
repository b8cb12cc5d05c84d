"""The handle to the Controller: nobody's death holds up the others."""

import inspect
from typing import Any

from ray.serve.handle import DeploymentHandle

from serving.controller_handle import over_grpc


class FakeHandle:
    def options(self, **given: Any) -> dict[str, Any]:
        return given


def test_answers_come_over_grpc_which_this_ray_can_do() -> None:
    given = over_grpc(FakeHandle())
    assert given == {"_by_reference": False}
    assert set(given) <= set(inspect.signature(DeploymentHandle.options).parameters)
