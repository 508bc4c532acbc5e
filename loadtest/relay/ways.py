"""Where a system's changes go on to: the registry, headquarters' hlrd, other provinces."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from loadtest.forward import Ending, Forwarder, Hop
from loadtest.relay.onward import HLRD, Heard, Onward, Origin
from loadtest.relay.orders import order_of, publication_order
from loadtest.relay.partners import Publication
from loadtest.relay.records import Content, Record
from loadtest.relay.resources import place_of


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Who is behind a system."""

    registry: Hop | None = None  #: of a relay
    hlrd: HLRD | None = None  #: of the registry: headquarters'; None: it answers for itself
    partners: Mapping[str, Hop] = field(default_factory=dict)  #: of a BBOSS, by province
    provinces: Mapping[str, HLRD] = field(default_factory=dict)  #: of a BBOSS, by province
    every_s: float = 0.2  #: between two tries
    again_s: float = 5.0  #: until a province is ordered again what it refused


@dataclass(frozen=True, slots=True)
class Tell:
    """What a system does with what comes back."""

    settle: Callable[[str, str, Ending], object]
    ordered: Callable[[str, str, str], object]
    told: Callable[[str, str, str, Ending], object]  #: province, resource, key, ending
    moved: Callable[[str, str], object]  #: province or "", cursor


class Ways:
    """`start`, then pass on and publish as often as there is something, `close`."""

    def __init__(self, neighbours: Neighbours, tell: Tell, origin: Origin) -> None:
        every_s = neighbours.every_s
        hops = neighbours.partners.items()
        self.registry = (
            None
            if neighbours.registry is None
            else Forwarder(neighbours.registry, tell.settle, every_s=every_s)
        )
        self._partners = {
            province: Forwarder(hop, partial(tell.told, province), every_s=every_s)
            for province, hop in hops
        }
        self._hlrds: dict[str, Onward] = {}  #: by province; headquarters' by ""
        if neighbours.hlrd is not None:
            heard = Heard(tell.ordered, tell.settle, partial(tell.moved, ""))
            self._hlrds[""] = Onward(neighbours.hlrd, heard, origin, every_s=every_s)
        for province, hlrd in neighbours.provinces.items():
            self._hlrds[province] = Onward(
                hlrd,
                Heard(_ignore, partial(tell.told, province), partial(tell.moved, province)),
                origin,
                every_s=every_s,
                again_s=neighbours.again_s,
            )

    def start(self, cursors: Mapping[str, str], failed: Callable[[BaseException], object]) -> None:
        """`cursors`: of the receipts taken before, by province or ""."""
        for forwarder in self._forwarders():
            forwarder.start()
        for name, onward in self._hlrds.items():
            onward.cursor = cursors.get(name, onward.cursor)
            onward.start(failed)

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._forwarders()))
        await asyncio.gather(*(each.close() for each in self._hlrds.values()))

    def order(self, record: Record, province: str, key: Content | None) -> None:
        """Of headquarters' hlrd, for a change of the registry that is on its way."""
        hlrd, place = self._hlrds[""], (record.resource, record.transaction)
        if record.order_id:
            hlrd.await_receipt(*place, record.order_id)
        else:
            hlrd.add(*place, order_of(record, province, key))

    def publish(self, news: Publication) -> None:
        hlrd = self._hlrds.get(news.province)
        if hlrd is None:
            self._partners[news.province].add(news.passed())
            return
        place = place_of(news.resource)
        assert place is not None, news.resource
        hlrd.add(news.resource, news.transaction, publication_order(news, place))

    def is_of_hlrd(self, province: str) -> bool:
        """Whether a province is told by orders, which note their messages themselves."""
        return province in self._hlrds

    def stats(self) -> Mapping[str, int]:
        states = [each.state() for each in self._hlrds.values()]
        return {name: sum(state[name] for state in states) for state in states for name in state}

    def _forwarders(self) -> Iterator[Forwarder]:
        if self.registry is not None:
            yield self.registry
        yield from self._partners.values()


def _ignore(*_: object) -> None:
    """Nothing secret was ordered, so nothing is forgotten when it is taken."""
