"""What a command prints is its own: Ray talks on the same process's stdout when a node dies."""

import warnings

import pytest

from ops import controller_client
from ops.errors import ClusterMissing
from serving.snapshot import INGRESS_APPLICATION

with warnings.catch_warnings():
    # Ray's own use of pydantic.
    warnings.simplefilter("ignore")
    import ray
    from ray import serve as _serve  # noqa: F401 - imported here, where its warnings are ignored


def test_what_ray_says_while_it_is_asked_does_not_get_into_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def applications() -> dict[str, object]:
        return {INGRESS_APPLICATION: None}

    def say_and_fail(**_: object) -> None:
        print("(raylet) a node has died")
        raise ConnectionError

    monkeypatch.setattr(controller_client, "_applications", applications)
    monkeypatch.setattr(controller_client, "_prepare_environment", lambda: None)
    monkeypatch.setattr(ray, "init", say_and_fail)
    with pytest.raises(ClusterMissing):
        controller_client.call_controller("status")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "(raylet) a node has died\n")
