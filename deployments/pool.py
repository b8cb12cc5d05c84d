"""The accelerators that a fleet shares, and what has to go so that one more replica fits. Pure.

Rules
1. Room is made by stopping replicas, never by moving one: what serves is not disturbed for growth.
2. Of all ways to make room the search takes a cheap one, node by node; a replica goes only where
   the room would not be enough with it.
3. What it finds was placed by the real placement, with everything that stays where it is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from cluster.inventory import Inventory
from cluster.placement import Ask, Room, place
from deployments.need import Need
from deployments.running import Running

Price = Callable[[str, int], float | None]
"""(model, how many were taken from it) -> what it costs to take one more; None: it may not be."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The nodes, and what runs on them."""

    rooms: tuple[Room, ...]
    #: Every replica that runs or starts, its place as `current`.
    running: tuple[Ask, ...]
    #: What one more replica of each model asks for.
    more: Mapping[str, Ask]

    def free(self) -> dict[str, int]:
        """Accelerators by node."""
        left = {room.node: room.accelerators for room in self.rooms}
        for ask in self.running:
            for node in ask.current:
                left[node] -= ask.tensor
        return left

    def grown(self, model: str, leaving: tuple[str, ...] = ()) -> "Pool | None":
        """With one replica more, once these are gone; None when it has no place then, or something
        else would not keep its own.
        """
        staying = [ask for ask in self.running if ask.replica not in leaving]
        ask = replace(self.more[model], replica=_another(model, staying))
        places = place(self.rooms, [*staying, ask]).places
        if ask.replica not in places:
            return None
        if any(places.get(each.replica) != each.current for each in staying):
            return None
        placed = replace(ask, current=places[ask.replica])
        return replace(self, running=(*staying, placed))

    def make_room(self, model: str, price: Price) -> "Cleared | None":
        """One more of this model, and what has to go for it; None when room cannot be made."""
        leaving = _Search(self, price).clear(self.more[model])
        after = None if leaving is None else self.grown(model, leaving)
        return None if leaving is None or after is None else Cleared(leaving, after)


@dataclass(frozen=True, slots=True)
class Cleared:
    """Room for one replica more."""

    #: None where there was room.
    leaving: tuple[str, ...]
    #: With that replica and without these.
    pool: Pool


def pool_of(
    inventory: Inventory, needs: Mapping[str, Need], running: Mapping[str, Running]
) -> Pool:
    """The pool as Serve was told to use it. What runs on no node of the inventory holds none of its
    accelerators.
    """
    names = {node.address: node.name for node in inventory.nodes}
    placed = [
        Ask(name, each.model, each.shape.tensor, each.shape.pipeline, current=nodes)
        for name, each in running.items()
        if (nodes := tuple(names[at] for at in each.addresses if at in names))
    ]
    more = {model: need.ask(model) for model, need in needs.items()}
    return Pool(rooms(inventory), tuple(placed), more)


def rooms(inventory: Inventory) -> tuple[Room, ...]:
    """Its nodes, as placement takes them."""
    return tuple(Room(node.name, inventory.accelerators_of(node).count) for node in inventory.nodes)


def _another(model: str, running: list[Ask]) -> str:
    """A name that no replica has."""
    taken = {ask.replica for ask in running}
    return next(name for at in range(len(taken) + 1) if (name := f"{model}.{at}") not in taken)


class _Search:
    """Clears a node for each stage, the cheapest first."""

    def __init__(self, pool: Pool, price: Price) -> None:
        self._price = price
        self._free = pool.free()
        self._on: dict[str, list[Ask]] = {node: [] for node in self._free}
        for ask in pool.running:
            for node in dict.fromkeys(ask.current):
                self._on[node].append(ask)
        self._gone: list[Ask] = []

    def clear(self, ask: Ask) -> tuple[str, ...] | None:
        open_nodes = [node for node in self._free if ask.may_use(node)]
        for _ in range(ask.pipeline):
            ways = [way for node in open_nodes if (way := self._way(node, ask.tensor)) is not None]
            if not ways:
                return None
            best = min(ways, key=lambda way: (way.price, self._free[way.node]))
            self._take(best, ask.tensor)
            if ask.spread:
                open_nodes.remove(best.node)
        return tuple(each.replica for each in self._gone)

    def _way(self, node: str, tensor: int) -> "_Way | None":
        """The cheap way to have so many free on a node."""
        free, total = self._free[node], 0.0
        if free >= tensor:
            return _Way(total, node, ())
        going: list[Ask] = []
        for price, ask in self._offers(node):
            if free >= tensor:
                break
            going.append(ask)
            free += _held(ask, node)
            total += price
        if free < tensor:
            return None
        return _Way(total, node, tuple(self._needed(going, node, free - tensor)))

    def _offers(self, node: str) -> Iterator[tuple[float, Ask]]:
        """What could go from a node and its price, cheap ones first; each further one of a model
        costs what it costs then. Of one model the last replica goes first.
        """
        taken = [ask.model for ask in self._gone]
        here = sorted(self._on[node], key=lambda ask: ask.natural_name, reverse=True)
        offers = []
        for ask in here:
            price = self._price(ask.model, taken.count(ask.model))
            if price is not None:
                offers.append((price, ask))
                taken.append(ask.model)
        return iter(sorted(offers, key=lambda offer: offer[0]))

    def _needed(self, going: list[Ask], node: str, spare: int) -> Iterator[Ask]:
        """Without those whose accelerators turned out not to be needed, dear ones first."""
        for ask in reversed(going):
            held = _held(ask, node)
            if held <= spare:
                spare -= held
            else:
                yield ask

    def _take(self, way: "_Way", tensor: int) -> None:
        for ask in way.going:
            self._gone.append(ask)
            for node in dict.fromkeys(ask.current):
                self._on[node].remove(ask)
                self._free[node] += _held(ask, node)
        self._free[way.node] -= tensor


@dataclass(frozen=True, slots=True)
class _Way:
    price: float
    node: str
    going: tuple[Ask, ...]


def _held(ask: Ask, node: str) -> int:
    return ask.tensor * ask.current.count(node)
