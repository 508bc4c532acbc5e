"""The home HLR of a lot: as staff named it, or as the routes say of its cards, which must agree."""

from hlrd.domain.identity import IMSI
from hlrd.domain.routing import Identity, Routing


class LotHome:
    """Told card by card; the first decides where nobody named it."""

    def __init__(self, named: str, routing: Routing) -> None:
        self.hlr = named
        self._routing = routing

    def fault_of(self, imsi: IMSI) -> str | None:
        """What is wrong with a card of this lot. Never the value itself."""
        route = self._routing.route(Identity.IMSI, imsi)
        if route is None:
            return None if self.hlr else "no route is about it, so hlr must be named"
        self.hlr = self.hlr or route.hlr
        if route.hlr == self.hlr:
            return None
        return f"the lot is of {self.hlr}, and {route.place} gives this card to {route.hlr}"
