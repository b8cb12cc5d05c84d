"""The handle to the Controller: nobody's death holds up the others."""

from typing import Any

from serving.controller_handle import over_grpc


class FakeHandle:
    def options(self, **given: Any) -> dict[str, Any]:
        return given


def test_answers_come_over_grpc() -> None:
    assert over_grpc(FakeHandle()) == {"_by_reference": False}
