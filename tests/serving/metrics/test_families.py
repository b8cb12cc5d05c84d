"""Every metric is listed once, is named as Prometheus wants it, and has labels of closed sets."""

import re

from serving.metrics import families
from serving.metrics.families import Family, Kind

#: Each of these has its values from ours: the fleet, the inventory, or an enumeration in the code.
CLOSED = {"model", "outcome", "kind", "route", "status", "reason", "phase", "address"}
#: What Prometheus hangs on whatever it reads from one of us; a label of that name would be renamed.
OF_TARGETS = {"part", "node", "instance"}


def test_every_metric_of_the_module_is_listed_once() -> None:
    defined = [each for each in vars(families).values() if isinstance(each, Family)]
    assert sorted(each.name for each in defined) == sorted(each.name for each in families.ALL)
    assert len({each.name for each in defined}) == len(defined)


def test_names_say_their_unit_and_whose_they_are() -> None:
    for family in families.ALL:
        assert re.fullmatch(r"flotilla_[a-z_]+[a-z]", family.name)
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        if family.kind is Kind.HISTOGRAM:
            assert family.name.endswith("_seconds")


def test_labels_are_of_closed_sets_and_every_metric_says_what_it_is() -> None:
    for family in families.ALL:
        assert set(family.labels) <= CLOSED - OF_TARGETS
        assert family.help.endswith(".")
