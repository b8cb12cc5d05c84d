"""Of a page that has changed, what changed is told and nothing else."""

import htpy as h
from hypothesis import given
from hypothesis import strategies as st

from ops.dashboard.html.fragment import Panel, differences, panel

ITEMS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3))


def made(title: str, items: dict[str, int]) -> Panel:
    rows = {name: h.li(id=name)[str(value)] for name, value in items.items()}
    return panel("p", lambda inside: h.ul(id="p", title=title)[inside], rows)


def test_an_item_that_changed_is_told_alone() -> None:
    told = differences({"p": made("t", {"a": 1, "b": 2})}, {"p": made("t", {"a": 1, "b": 3})})
    assert list(told) == ['<li id="b">3</li>']


def test_who_knows_nothing_is_told_the_whole() -> None:
    (told,) = differences({}, {"p": made("t", {"a": 1})})
    assert told == '<ul id="p" title="t"><li id="a">1</li></ul>'


def test_items_that_came_went_or_moved_tell_the_whole() -> None:
    before = {"p": made("t", {"a": 1, "b": 2})}
    for items in ({"a": 1}, {"b": 2, "a": 1}, {"a": 1, "b": 2, "c": 3}):
        (told,) = differences(before, {"p": made("t", items)})
        assert told.startswith("<ul")


def test_another_frame_tells_the_whole() -> None:
    (told,) = differences({"p": made("old", {"a": 1})}, {"p": made("new", {"a": 1})})
    assert 'title="new"' in told


@given(ITEMS, ITEMS)
def test_what_is_told_makes_the_old_page_the_new_one(
    old: dict[str, int], new: dict[str, int]
) -> None:
    before, after = made("t", old), made("t", new)
    told = list(differences({"p": before}, {"p": after}))
    if told == [after.html]:
        return
    known = dict(before.items)
    for html in told:
        known[html.split('"')[1]] = html
    assert known == after.items
    assert list(known) == list(after.items)


def test_nothing_is_told_where_nothing_changed() -> None:
    same = {"p": made("t", {"a": 1})}
    assert list(differences(same, {"p": made("t", {"a": 1})})) == []
