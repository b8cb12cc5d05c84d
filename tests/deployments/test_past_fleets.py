"""The fleets that ran are kept for who wants to go back."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from deployments.past_fleets import FILE_NAME, MOST, PastFleets
from tests.deployments.fleets import fleet_of
from tests.deployments.test_plan import models


def test_they_come_back_newest_first_as_they_were(tmp_path: Path) -> None:
    first, second = fleet_of(), models(a="tensor: 2")
    past = PastFleets(tmp_path)
    past.add(first, 1.0)
    past.add(second, 2.0)
    assert [(each.at_s, each.fleet) for each in PastFleets(tmp_path).newest()] == [
        (2.0, second),
        (1.0, first),
    ]


def test_the_same_again_is_no_new_one_and_going_back_is(tmp_path: Path) -> None:
    past = PastFleets(tmp_path)
    for at_s, name in enumerate(("a", "a", "b", "a")):
        past.add(models(**{name: ""}), at_s)
    newest, middle, oldest = past.newest()
    assert [newest.at_s, middle.at_s, oldest.at_s] == [3, 2, 0]
    assert newest.id == oldest.id != middle.id


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    past = PastFleets(tmp_path)
    for number in range(MOST + 3):
        past.add(models(**{f"m{number}": ""}), number)
    assert [each.at_s for each in past.newest()] == list(range(MOST + 2, 2, -1))


def test_a_fleet_that_this_version_cannot_read_is_left_out(tmp_path: Path) -> None:
    PastFleets(tmp_path).add(models(a=""), 1.0)
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text().replace("max_model_len", "window"))
    assert PastFleets(tmp_path).newest() == ()


@given(st.binary(max_size=40))
def test_a_damaged_file_holds_none_and_stands_in_nobodys_way(
    raw: bytes,
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        (path / FILE_NAME).write_bytes(raw)
        past = PastFleets(path)
        past.add(models(a=""), 1.0)
        assert past.newest()[0].at_s == 1.0


def test_a_folder_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    past = PastFleets(tmp_path / "gone")
    past.add(models(a=""), 1.0)
    assert past.newest() == ()
