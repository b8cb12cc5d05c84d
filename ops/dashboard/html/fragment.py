"""Parts of the page, each with an id, and what of them has to be told again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from htpy import Renderable
from markupsafe import Markup

#: Lets htmx put a part of an answer where the element with its id is, keeping what did not change.
IN_PLACE = {"hx-swap-oob": "morph"}
#: Where a panel's items go; escaped text never has it.
ITEMS = Markup("<!--items-->")


@dataclass(frozen=True, slots=True)
class Panel:
    """A section of the page with items that change one by one."""

    id: str
    #: Around the items.
    frame: str
    #: By id, in their order.
    items: Mapping[str, str]
    html: str


def panel(
    id_: str,
    frame: Callable[[Sequence[Markup]], Renderable],
    items: Mapping[str, Renderable | Markup] | None = None,
) -> Panel:
    """`frame` makes the section around its items."""
    made = {name: _plain(str(item)) for name, item in (items or {}).items()}
    before, items_here, after = str(frame((ITEMS,))).partition(ITEMS)
    whole = "".join((before, *made.values(), after))
    return Panel(id_, "".join((before, items_here, after)), made, whole)


def _plain(html: str) -> str:
    """As text alone: markup would escape what it is put beside."""
    return str(html)


def differences(before: Mapping[str, Panel], after: Mapping[str, Panel]) -> Iterator[str]:
    """The HTML of what changed: items alone where their number and their frame stayed."""
    for name, new in after.items():
        old = before.get(name)
        if old is None or old.frame != new.frame or list(old.items) != list(new.items):
            yield new.html
        else:
            yield from (html for at, html in new.items.items() if old.items[at] != html)
