"""The support system of a province as a process: its HTTP, its channel to hlrd, and its messages.

PUT    /products/{product}                    the catalogue (产品目录);  GET /products
POST   /ecs                                   an enterprise;  GET /ecs, /ecs/{code}
POST   /ecs/{code}/businesses                 业务开通;  DELETE /ecs/{code}/businesses/{product}
POST   /ecs/{code}/members                    成员添加;  GET: with those of partner provinces
POST   /ecs/{code}/members/batch              批量开户
DELETE /ecs/{code}/members/{user}             成员退出; ?terminate=true closes the user as well
POST   /ecs/{code}/members/{user}/products    成员业务订购;  DELETE …/products/{product}
GET    /orders/{id}?wait=S                    closed or not, line by line
GET    /orders/{id}/results                   the result file of its batch
POST   /orders/{id}/{pause,resume,cancel}     its batch
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from loadtest.business.message import Party
from loadtest.business.system import Declined, System, answer, body_of
from loadtest.esop import view
from loadtest.esop.book import Refused
from loadtest.esop.core import Support
from loadtest.esop.desk import Desk, Settings
from loadtest.esop.records import (
    Line,
    NewBusiness,
    NewCustomer,
    NewMember,
    NewMembers,
    NewProduct,
    Offer,
    Order,
)

ACCEPTED: Final = "业务受理"
WAIT_S_MAX: Final = 60.0


class ESOP(System):
    kind = "esop"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.name)
        self.party = Party.ESOP.of(settings.province)
        self.core = Support(
            settings.province, run=settings.run, first_user=settings.first_user, pool=settings.pool
        )
        self.desk = Desk(self.core, settings, self.http, self.messages)

    async def begin(self) -> None:
        for work in self.desk.works():
            self.keep_up(work)

    async def end(self) -> None:
        await self.desk.close()

    def stats(self) -> Mapping[str, Any]:
        return {**view.counts(self.core), "channel": self.desk.channel.state()}

    def dump(self) -> Sequence[Any]:
        return view.dump(self.core)

    def routes(self) -> Sequence[web.RouteDef]:
        ec, order = "/ecs/{code}", "/orders/{id}"
        member = ec + "/members/{user}"
        return (
            web.put("/products/{product}", self._offer),
            web.get("/products", self._products),
            web.post("/ecs", self._meet),
            web.get("/ecs", self._customers),
            web.get(ec, self._customer),
            web.post(ec + "/businesses", self._open_business),
            web.delete(ec + "/businesses/{product}", self._cancel_business),
            web.post(ec + "/members", self._add_member),
            web.post(ec + "/members/batch", self._add_members),
            web.get(ec + "/members", self._members),
            web.delete(member, self._remove_member),
            web.post(member + "/products", self._order_product),
            web.delete(member + "/products/{product}", self._drop_product),
            web.get(order, self._order),
            web.get(order + "/results", self._results),
            web.post(order + "/{what:pause|resume|cancel}", self._steer),
        )

    # --- the catalogue and the customers -----------------------------------------------------

    async def _offer(self, request: web.Request) -> web.Response:
        self.core.offer(request.match_info["product"], await body_of(request, Offer))
        return answer({"product": request.match_info["product"]})

    async def _products(self, _: web.Request) -> web.Response:
        return answer(self.core.catalogue)

    async def _meet(self, request: web.Request) -> web.Response:
        new = await body_of(request, NewCustomer)
        try:
            return answer(self.core.meet(new), status=201)
        except Refused as refused:
            raise _declined(refused) from refused

    async def _customers(self, _: web.Request) -> web.Response:
        return answer(list(self.core.customers.values()))

    async def _customer(self, request: web.Request) -> web.Response:
        """As this system has it, and as hlrd shows it; None where hlrd was told nothing."""
        code = request.match_info["code"]
        shown = await self.desk.learn(code)
        if code not in self.core.customers:
            raise Declined(404, "CUSTOMER_UNKNOWN", f"no enterprise {code}")
        return answer({**view.customer(self.core, code), "hlrd": shown})

    # --- what people do ----------------------------------------------------------------------

    async def _open_business(self, request: web.Request) -> web.Response:
        new = await body_of(request, NewBusiness)
        code = request.match_info["code"]
        return self._act(lambda: self.core.open_business(code, new), f"{code} {new.product}")

    async def _cancel_business(self, request: web.Request) -> web.Response:
        code, product = request.match_info["code"], request.match_info["product"]
        return self._act(lambda: self.core.cancel_business(code, product), f"{code} {product}")

    async def _add_member(self, request: web.Request) -> web.Response:
        new = await body_of(request, NewMember)
        code = request.match_info["code"]
        await self.desk.learn(code)
        detail = " ".join([code, *new.products])
        return self._act(lambda: self.core.add_member(code, new), detail)

    async def _add_members(self, request: web.Request) -> web.Response:
        new = await body_of(request, NewMembers)
        code = request.match_info["code"]
        await self.desk.learn(code)
        detail = " ".join([code, f"{new.count:,}", *new.products])
        return self._act(lambda: self.core.add_members(code, new), detail)

    async def _remove_member(self, request: web.Request) -> web.Response:
        code, user = request.match_info["code"], request.match_info["user"]
        is_end = request.query.get("terminate") == "true"
        return self._act(
            lambda: self.core.remove_member(code, user, terminate=is_end), f"{code} {user}"
        )

    async def _order_product(self, request: web.Request) -> web.Response:
        new = await body_of(request, NewProduct)
        code, user = request.match_info["code"], request.match_info["user"]
        return self._act(
            lambda: self.core.order_product(code, user, new), f"{code} {user} {new.product}"
        )

    async def _drop_product(self, request: web.Request) -> web.Response:
        code, user = request.match_info["code"], request.match_info["user"]
        product = request.match_info["product"]
        return self._act(
            lambda: self.core.drop_product(code, user, product), f"{code} {user} {product}"
        )

    def _act(self, act: Callable[[], Order], detail: str) -> web.Response:
        """The customer asks, and is answered with the order that was made of it."""
        try:
            order = act()
        except Refused as refused:
            raise _declined(refused) from refused
        self.messages.note(Party.CUSTOMER, self.party, order.act, detail)
        self.messages.note(self.party, Party.CUSTOMER, ACCEPTED, order.id, is_answer=True)
        self.desk.wake()
        return answer(view.order(self.core, order), status=201)

    # --- looking -----------------------------------------------------------------------------

    async def _members(self, request: web.Request) -> web.Response:
        code = request.match_info["code"]
        await self.desk.learn(code)
        if code not in self.core.customers:
            raise Declined(404, "CUSTOMER_UNKNOWN", f"no enterprise {code}")
        listed = await self.desk.listed(code)
        return answer({"members": view.members(self.core, code, listed)})

    async def _order(self, request: web.Request) -> web.Response:
        order = self._found(request)
        wait_s = min(float(request.query.get("wait", 0)), WAIT_S_MAX)
        await self.desk.until_closed(order, wait_s)
        return answer(view.order(self.core, order))

    async def _results(self, request: web.Request) -> web.Response:
        rows = await self.desk.results(self._file_of(request))
        return web.Response(
            body=msgspec.json.Encoder().encode_lines(rows), content_type="application/x-ndjson"
        )

    async def _steer(self, request: web.Request) -> web.Response:
        shown = await self.desk.steer(self._file_of(request), request.match_info["what"])
        return answer(shown)

    def _found(self, request: web.Request) -> Order:
        order = self.core.orders.get(request.match_info["id"])
        if order is None:
            raise Declined(404, "ORDER_UNKNOWN", "no order has this id")
        return order

    def _file_of(self, request: web.Request) -> Line:
        """The first file of an order that hlrd has."""
        lines = [self.core.lines[one] for one in self._found(request).lines]
        for line in lines:
            if line.is_file and line.id:
                return line
        raise Declined(409, "NO_BATCH", "hlrd has no batch of this order")


def _declined(refused: Refused) -> Declined:
    return Declined(refused.status, refused.code, refused.text)
