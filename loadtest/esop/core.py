"""What the support system of a province does. Pure.

An enterprise has a business before it has members, and a member the base capability before
products: what comes too early is held here, unless its timing says to post it at once. What became
of all of it is known by receipts, and by what hlrd shows of enterprises.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.esop.book import HOPES, Book, Refused
from loadtest.esop.fields import opening_of, ordering_of, selling_of, words_of
from loadtest.esop.kinds import CANCELLING, DROPPING, OPENING, ORDERING, REMOVING, SELLING
from loadtest.esop.precedence import What, needs
from loadtest.esop.records import (
    ENDED,
    MEMBERS_MAX,
    Act,
    Attributes,
    Business,
    Customer,
    Line,
    LineState,
    Member,
    NewBusiness,
    NewCustomer,
    NewMember,
    NewMembers,
    NewProduct,
    Offer,
    Order,
    Standing,
    Timing,
)

_GIVEN: Final = ("msisdn", "imsi", "iccid")
_STANDINGS: Final = frozenset(Standing)
_SUCCEEDED: Final = "succeeded"
_FALLOUT: Final = "fallout"
_OF_BUSINESS: Final = {SELLING: Standing.ACTIVE, CANCELLING: Standing.GONE}


class Support(Book):
    """`ready` is what is to be posted now, in this order."""

    def __init__(
        self, province: str, *, run: str = "", first_user: int = 0, pool: str = "iot"
    ) -> None:
        """`run` keeps the order ids of two lives of the process apart."""
        super().__init__(province, first_user=first_user)
        self.ready: deque[Line] = deque()
        self._behind: defaultdict[What, list[Line]] = defaultdict(list)
        self._run = f"E{province}{run}"
        self._pool = pool
        self._operator = f"esop{province}"

    # --- what people do ----------------------------------------------------------------------

    def offer(self, product: str, offer: Offer) -> None:
        self.catalogue[product] = offer

    def meet(self, new: NewCustomer) -> Customer:
        known = self.customers.get(new.code)
        if known is not None and (known.name, known.province) != (new.name, self.province):
            raise Refused(409, "CUSTOMER_EXISTS", f"{new.code} is {known.name}")
        return self.customers.setdefault(new.code, Customer(new.code, new.name, self.province))

    def open_business(self, code: str, new: NewBusiness) -> Order:
        """业务开通. Members beyond this province make it business across provinces, which goes by
        the BBOSS."""
        customer = self._customer(code)
        offer = self.catalogue.get(new.product)
        if offer is None:
            raise Refused(409, "PRODUCT_UNKNOWN", f"{new.product} is not in the catalogue")
        if customer.province != self.province:
            raise Refused(409, "OTHER_LEAD", f"{code} is a customer of {customer.province}")
        known = self.businesses.get((code, new.product))
        if known is not None and known.standing not in (Standing.FAILED, Standing.GONE):
            raise Refused(409, "BUSINESS_EXISTS", f"{code} has {new.product}: {known.standing}")
        business = Business(
            code, new.product, offer.product_class, "BBOSS" if new.partner_provinces else "BOSS1",
            self.province, tuple(new.partner_provinces), new.straight,
        )  # fmt: skip
        self.businesses[code, new.product] = business
        order = self._order(Act.OPEN_BUSINESS, code)
        self._add(order, SELLING, selling_of(business, customer, offer), new.operator)
        return order

    def cancel_business(self, code: str, product: str, *, operator: str | None = None) -> Order:
        business = self._business(code, product)
        if business.lead_province != self.province:
            raise Refused(409, "OTHER_LEAD", f"{business.lead_province} sold it")
        business.standing = Standing.LEAVING
        order = self._order(Act.CANCEL_BUSINESS, code)
        self._add(order, CANCELLING, {"ec_code": code, "product": product}, operator)
        return order

    def add_member(self, code: str, new: NewMember) -> Order:
        held = self._business_for(code, new.product_class, new.timing)
        user = self._new_member(code, new.user_id)
        order = self._order(Act.ADD_MEMBER, code)
        opened = opening_of(code, held, new, pool=self._pool, iccid=new.iccid)
        self._add_all(order, [user], opened, new)
        return order

    def add_members(self, code: str, new: NewMembers) -> Order:
        held = self._business_for(code, new.product_class, new.timing)
        if len(self.members) + new.count > MEMBERS_MAX:
            raise Refused(429, "FULL", f"there is no room for {new.count:,} members")
        users = [self._new_member(code, None) for _ in range(new.count)]
        order = self._order(Act.ADD_MEMBERS, code)
        opened = opening_of(code, held, new, pool=self._pool)
        if new.as_orders:
            self._add_all(order, users, opened, new)
        else:
            self._add_files(order, users, opened, new)
        return order

    def order_product(self, code: str, user_id: str, new: NewProduct) -> Order:
        member = self._member(code, user_id)
        if member.products.get(new.product) in HOPES:
            raise Refused(409, "PRODUCT_HELD", f"{user_id} has {new.product} already")
        order = self._order(Act.ORDER_PRODUCT, code)
        self._order_products(order, user_id, [new.product], new.attributes, new.operator)
        return order

    def drop_product(
        self, code: str, user_id: str, product: str, *, operator: str | None = None
    ) -> Order:
        member = self._member(code, user_id)
        if member.products.get(product) is not Standing.ACTIVE:
            raise Refused(409, "PRODUCT_NOT_HELD", f"{user_id} does not have {product}")
        member.products[product] = Standing.LEAVING
        order = self._order(Act.DROP_PRODUCT, code)
        fields = {"user_id": user_id, "ec_code": code, "product": product}
        self._add(order, DROPPING, fields, operator)
        return order

    def remove_member(
        self, code: str, user_id: str, *, terminate: bool = False, operator: str | None = None
    ) -> Order:
        member = self._member(code, user_id)
        member.standing = Standing.LEAVING
        order = self._order(Act.REMOVE_MEMBER, code)
        fields = {"user_id": user_id, "ec_code": code, "terminate": terminate}
        self._add(order, REMOVING, fields, operator)
        return order

    # --- what hlrd says ----------------------------------------------------------------------

    def taken(self, order_id: str, answer: Mapping[str, Any]) -> None:
        """Answered 200 or 202. The number is the member's from now on."""
        line = self.lines[order_id]
        line.id = str(answer.get("id") or "")
        if line.kind == OPENING and not line.is_file:
            line.given = {name: answer[name] for name in _GIVEN if answer.get(name)}
            self._number(self.members[line.fields["user_id"]], answer)

    def refused(self, order_id: str, code: str, text: str) -> None:
        """It would be refused for ever."""
        line = self.lines[order_id]
        if line.state in ENDED:
            return
        for user in line.users or [line.fields.get("user_id", "")]:
            self._became(line.kind, user, line.fields, code)
        self._end(line, LineState.FAILED, code, text)

    def closed(self, receipt: Mapping[str, Any]) -> None:
        """A receipt (回单), which may come twice; also one of a row of a file."""
        line = self.lines.get(receipt["order_id"])
        if line is not None and line.state in ENDED:
            return
        if receipt["result"] == _FALLOUT:
            if line is not None:
                line.state = LineState.FALLOUT
                line.code, line.text = words_of(receipt)
            return
        is_done = receipt["result"] == _SUCCEEDED
        code, text = ("", "") if is_done else words_of(receipt)
        if line is None:
            self._member_of(receipt["type"], receipt.get("user_id") or "", receipt, code)
            return
        if not line.is_file:
            told = {**line.fields, **receipt}
            self._became(line.kind, line.fields.get("user_id", ""), told, code)
        self._end(line, LineState.SUCCEEDED if is_done else LineState.FAILED, code, text)

    def rows(self, order_id: str, results: Iterable[Mapping[str, Any]]) -> None:
        """The result file of a batch, before its receipt is taken: also of rows that were never
        handed in, of which no receipt tells."""
        line = self.lines[order_id]
        for row in results:
            if row["result"] == "sent":
                continue
            code = "" if row["result"] == _SUCCEEDED else row["code"] or row["result"].upper()
            self._became(line.kind, row["user_id"], {**line.fields, **row}, code)

    def saw(self, shown: Mapping[str, Any]) -> None:
        """An enterprise as `GET /v1/ecs/{code}` shows it: what was published to this province."""
        code = shown["code"]
        lead = shown["lead_province"]
        self.customers.setdefault(code, Customer(code, shown["name"], lead))
        for held in shown["products"]:
            if held["lead_province"] != self.province:
                self.businesses[code, held["product"]] = Business(
                    code, held["product"], held["product_class"], held["route"],
                    held["lead_province"], held["partner_provinces"], held["straight"],
                    Standing(held["state"]) if held["state"] in _STANDINGS else Standing.LEAVING,
                )  # fmt: skip
                self._release((code, held["product"]))

    # --- orders ------------------------------------------------------------------------------

    def _order(self, act: Act, code: str) -> Order:
        order = Order(f"{self._run}-{len(self.orders) + 1}", act, code)
        self.orders[order.id] = order
        return order

    def _add_all(
        self,
        order: Order,
        users: Sequence[str],
        opened: Mapping[str, Any],
        new: NewMember | NewMembers,
    ) -> None:
        """An order for each opening and each product."""
        is_held = new.timing is Timing.IN_SEQUENCE
        if new.timing is Timing.PRODUCT_FIRST:
            self._products_of_all(order, users, new)
        for user in users:
            fields = {"user_id": user, **opened}
            self._add(order, OPENING, fields, new.operator, is_held=is_held)
        if new.timing is not Timing.PRODUCT_FIRST:
            self._products_of_all(order, users, new)

    def _products_of_all(
        self, order: Order, users: Iterable[str], new: NewMember | NewMembers
    ) -> None:
        is_held = new.timing is Timing.IN_SEQUENCE
        for user in users:
            self._order_products(
                order, user, new.products, new.attributes, new.operator, is_held=is_held
            )

    def _order_products(
        self,
        order: Order,
        user_id: str,
        products: Iterable[str],
        attributes: Attributes,
        operator: str | None,
        *,
        is_held: bool = True,
    ) -> None:
        for product in products:
            self.members[user_id].products[product] = Standing.PENDING
            fields = {"user_id": user_id, **ordering_of(order.ec_code, product, attributes)}
            self._add(order, ORDERING, fields, operator, is_held=is_held)

    def _add_files(
        self,
        order: Order,
        users: Sequence[str],
        opened: Mapping[str, Any],
        new: NewMembers,
    ) -> None:
        """A file of openings, and one for each product."""
        ranged = {"iccid_first": new.iccid_first, "iccid_last": new.iccid_last}
        said = {name: value for name, value in ranged.items() if value is not None}
        files: list[tuple[str, Mapping[str, Any], Mapping[str, str]]] = [(OPENING, opened, said)]
        for product in new.products:
            for user in users:
                self.members[user].products[product] = Standing.PENDING
            ordered = ordering_of(order.ec_code, product, new.attributes)
            place = 0 if new.timing is Timing.PRODUCT_FIRST else len(files)
            files.insert(place, (ORDERING, ordered, {}))
        for kind, fields, words in files:
            partial = {"partial": "true"} if new.partial else {}
            self._add(
                order, kind, fields, new.operator, users=users, said={**words, **partial},
                is_held=new.timing is Timing.IN_SEQUENCE,
            )  # fmt: skip

    def _add(
        self,
        order: Order,
        kind: str,
        fields: Mapping[str, Any],
        operator: str | None,
        *,
        users: Sequence[str] = (),
        said: Mapping[str, str] | None = None,
        is_held: bool = False,
    ) -> None:
        """`is_held`: not before what must come first."""
        line = Line(
            f"{order.id}-{len(order.lines) + 1}", kind, dict(fields), operator or self._operator,
            order.id, users=users, said=dict(said or {}),
        )  # fmt: skip
        order.lines.append(line.order_id)
        order.open += 1
        self.lines[line.order_id] = line
        if is_held:
            self._post_or_hold(line)
        else:
            self._post(line)

    def _post(self, line: Line) -> None:
        line.state = LineState.POSTED
        self.ready.append(line)

    def _post_or_hold(self, line: Line) -> None:
        for what, standing in needs(self, line):
            if standing in (Standing.FAILED, Standing.GONE):
                self.refused(line.order_id, "DEPENDENCY_FAILED", "what it needs failed")
                return
            if standing is not Standing.ACTIVE:
                self._behind[what].append(line)
                return
        if line.kind == ORDERING and line.users:
            self._leave_out_the_failed(line)
        if line.state not in ENDED:
            self._post(line)

    def _leave_out_the_failed(self, line: Line) -> None:
        """Products are ordered for those alone who were opened."""
        opened = [one for one in line.users if self.members[one].standing is Standing.ACTIVE]
        for user in set(line.users).difference(opened):
            self._became(line.kind, user, line.fields, "DEPENDENCY_FAILED")
        if opened:
            line.users = opened
        else:
            self._end(line, LineState.FAILED, "DEPENDENCY_FAILED", "nobody was opened")

    def _release(self, what: What) -> None:
        for line in self._behind.pop(what, ()):
            self._post_or_hold(line)

    # --- what became of it -------------------------------------------------------------------

    def _became(self, kind: str, user_id: str, told: Mapping[str, Any], code: str) -> None:
        """An order of that kind has ended; with a `code` if it failed."""
        if kind in _OF_BUSINESS:
            self._business_became(kind, told, code)
        else:
            self._member_of(kind, user_id, told, code)

    def _member_of(self, kind: str, user_id: str, told: Mapping[str, Any], code: str) -> None:
        """Nothing, if it is about nobody of this province."""
        member = self.members.get(user_id)
        if member is None or member.ec_code != told.get("ec_code", member.ec_code):
            return
        if kind == OPENING:
            self._member_became(member, told, code)
        elif kind in (ORDERING, DROPPING):
            self._product_became(member, kind, told, code)
        elif kind == REMOVING:
            member.standing = Standing.ACTIVE if code else Standing.GONE

    def _business_became(self, kind: str, told: Mapping[str, Any], code: str) -> None:
        business = self.businesses[told["ec_code"], told["product"]]
        if not code:
            business.standing = _OF_BUSINESS[kind]
        elif kind == CANCELLING:
            business.standing = Standing.ACTIVE
        else:
            business.standing, business.code = Standing.FAILED, code
        self._release((business.ec_code, business.product))

    def _member_became(self, member: Member, told: Mapping[str, Any], code: str) -> None:
        if member.standing is not Standing.PENDING:
            return
        if code:
            member.standing, member.code = Standing.FAILED, code
            member.msisdn = member.imsi = member.iccid = ""
        else:
            member.standing = Standing.ACTIVE
            self._number(member, told)
        self._release((member.user_id,))

    def _product_became(
        self, member: Member, kind: str, told: Mapping[str, Any], code: str
    ) -> None:
        product = told["product"]
        before = member.products.get(product)
        if kind == ORDERING and before is Standing.PENDING:
            member.products[product] = Standing.FAILED if code else Standing.ACTIVE
        elif kind == DROPPING and before is Standing.LEAVING:
            member.products[product] = Standing.ACTIVE if code else Standing.GONE

    def _number(self, member: Member, told: Mapping[str, Any]) -> None:
        member.msisdn = told.get("msisdn") or member.msisdn
        member.imsi = told.get("imsi") or member.imsi
        member.iccid = told.get("iccid") or member.iccid

    def _end(self, line: Line, state: LineState, code: str, text: str) -> None:
        line.state, line.code, line.text = state, code, text
        self.orders[line.root].open -= 1
        if line.users:
            self._release(("", line.order_id))
