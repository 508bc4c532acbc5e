"""The ESOP of a province, asked as its people would ask it."""

from typing import Any

from loadtest.business.message import Party
from loadtest.flow.daemon import Daemon
from loadtest.flow.provinces import LEAD, provinces
from loadtest.flow.site import DEADLINE_S, Site
from loadtest.process import StackError

Order = dict[str, Any]


class Front:
    def __init__(self, site: Site, province: str = LEAD) -> None:
        self.site = site
        self.province = province
        self.name = f"esop{province}"

    @property
    def party(self) -> str:
        return Party.ESOP.of(self.province)

    @property
    def hlrd(self) -> Daemon:
        """Of its province."""
        return provinces(self.site)[self.province]

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Raises StackError if it declines."""
        status, content = await self.site.ask(self.name, method, path, body)
        if status >= 400:
            raise StackError(f"{self.name}: {method} {path}: {status} {content}")
        return content

    async def customer(self) -> str:
        """A new enterprise's code."""
        code = f"EC{self.site.fresh():04d}"
        await self.ask("POST", "/ecs", {"code": code, "name": f"示例集团{code[2:]}"})
        return code

    async def sell(self, code: str, product: str, **wish: Any) -> Order:
        """业务开通."""
        return await self._act("POST", f"/ecs/{code}/businesses", {"product": product, **wish})

    async def cancel(self, code: str, product: str) -> Order:
        return await self._act("DELETE", f"/ecs/{code}/businesses/{product}")

    async def add(self, code: str, **wish: Any) -> Order:
        """成员添加."""
        return await self._act("POST", f"/ecs/{code}/members", wish)

    async def add_many(self, code: str, count: int, **wish: Any) -> Order:
        """批量开户; with `as_orders` by orders."""
        return await self._act("POST", f"/ecs/{code}/members/batch", {"count": count, **wish})

    async def order_product(self, code: str, user: str, product: str, **wish: Any) -> Order:
        path = f"/ecs/{code}/members/{user}/products"
        return await self._act("POST", path, {"product": product, **wish})

    async def remove(self, code: str, user: str, *, terminate: bool = False) -> Order:
        end = "?terminate=true" if terminate else ""
        return await self._act("DELETE", f"/ecs/{code}/members/{user}{end}")

    async def shown(self, order: Order) -> Order:
        return await self._act("GET", f"/orders/{order['id']}")

    async def closed(self, order: Order, *, s: float = DEADLINE_S) -> Order:
        """The order once it is closed. Raises StackError if it is not in time."""

        async def is_closed() -> Order | None:
            found = await self._act("GET", f"/orders/{order['id']}?wait=5")
            return found if found["is_closed"] else None

        found: Order = await self.site.until(is_closed, f"order {order['id']} is closed", s=s)
        return found

    async def done(self, order: Order, *, s: float = DEADLINE_S) -> Order:
        """As `closed`. Raises StackError if any line of it failed."""
        found = await self.closed(order, s=s)
        if set(found["lines_by_state"]) != {"succeeded"}:
            raise StackError(f"order {order['id']} failed: {found['lines'][:3]}")
        return found

    async def members(self, code: str) -> list[dict[str, Any]]:
        """With those of partner provinces."""
        found: list[dict[str, Any]] = (await self.ask("GET", f"/ecs/{code}/members"))["members"]
        return found

    async def _act(self, method: str, path: str, body: object = None) -> Order:
        order: Order = await self.ask(method, path, body)
        return order
