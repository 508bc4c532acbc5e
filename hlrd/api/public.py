"""The application that upstream systems and staff speak to."""

from collections.abc import Callable, Collection, Iterable
from importlib import resources

from aiohttp import web

from hlrd import limits
from hlrd.api import kinds
from hlrd.api.acting import TRAIL
from hlrd.api.audit import AuditRoutes
from hlrd.api.auth import Tokens, authenticate
from hlrd.api.batches import BatchRoutes
from hlrd.api.body import Bodies
from hlrd.api.deliveries import DeliveryRoutes
from hlrd.api.edge import edge
from hlrd.api.elements import Elements
from hlrd.api.fallout import FalloutRoutes
from hlrd.api.groups import GroupRoutes
from hlrd.api.imports import ImportRoutes
from hlrd.api.masters import MasterRoutes
from hlrd.api.moves import MoveRoutes
from hlrd.api.numbers import NumberRoutes
from hlrd.api.operators import OPERATORS, looking, operator_of
from hlrd.api.orders import WorkOrders
from hlrd.api.patience import Patience
from hlrd.api.pools import PoolRoutes
from hlrd.api.products import ProductRoutes
from hlrd.api.receipts import ReceiptRoutes
from hlrd.api.reservations import ReservationRoutes
from hlrd.api.seam import (
    AuditBook,
    Batches,
    BulkActs,
    CardDesk,
    Deliveries,
    Desk,
    Element,
    FalloutDesk,
    Feed,
    Forecasts,
    GroupShelf,
    Halts,
    Imports,
    Intake,
    Moves,
    NumberDesk,
    NumberPools,
    Operators,
    Orders,
    ProductShelf,
    Recall,
    Receipts,
    Reconciler,
    Reservations,
    Sessions,
    SIMStock,
    StateMasters,
    Status,
)
from hlrd.api.sessions import SessionRoutes
from hlrd.api.sims import SIMRoutes
from hlrd.api.stream import StreamRoutes
from hlrd.domain.audit import Trail
from hlrd.domain.routing import RouteTable


def public_app(
    *,
    tokens: Tokens,
    sessions: Sessions,
    operators: Operators | None = None,
    status: Callable[[], Status],
    intake: Intake,
    desk: Desk,
    recall: Recall,
    orders: Orders,
    receipts: Receipts,
    feed: Feed,
    deliveries: Deliveries,
    pools: NumberPools,
    numbers: NumberDesk,
    forecasts: Forecasts,
    stock: SIMStock,
    cards: CardDesk,
    imports: Imports,
    batches: Batches,
    reservations: Reservations,
    products: ProductShelf,
    groups: GroupShelf,
    elements: Iterable[Element],
    halts: Halts,
    moves: Moves,
    fallout: FalloutDesk,
    bulks: BulkActs,
    homes: RouteTable,
    hlrs_away: Collection[str] = (),
    masters: StateMasters,
    reconciler: Reconciler,
    trail: Trail,
    audit: AuditBook,
    bodies: Bodies | None = None,
) -> web.Application:
    """While `status` is not ready, orders are refused at once instead of waiting for a journal."""
    own_name = None if operators is None else operator_of(operators)
    who = authenticate(tokens, sessions=sessions, operator_of=own_name)
    app = web.Application(middlewares=[edge, who, looking()], client_max_size=limits.BODY_BYTES_MAX)
    app[TRAIL] = trail
    if operators is not None:
        app[OPERATORS] = operators
    bodies = bodies or Bodies()
    network = Elements(elements, halts=halts, bodies=bodies, homes=hlrs_away)
    patience = Patience(sessions.is_open)
    app.on_shutdown.append(patience.end)
    sessions.on_end(patience.end_of)
    app.add_routes(
        [
            *WorkOrders(
                status=status,
                intake=intake,
                orders=orders,
                desk=desk,
                recall=recall,
                elements=network,
                bodies=bodies,
                patience=patience,
            ).routes(),
            *SessionRoutes(sessions).routes(),
            *ReceiptRoutes(receipts, patience).routes(),
            *StreamRoutes(feed, patience).routes(),
            *DeliveryRoutes(deliveries, orders=orders, bodies=bodies).routes(),
            *PoolRoutes(
                pools=pools,
                numbers=numbers,
                forecasts=forecasts,
                elements=network,
                homes=homes,
                bodies=bodies,
            ).routes(),
            *NumberRoutes(pools=pools, numbers=numbers, bodies=bodies).routes(),
            *ReservationRoutes(reservations=reservations, elements=network, bodies=bodies).routes(),
            *ProductRoutes(products).routes(),
            *GroupRoutes(groups).routes(),
            *SIMRoutes(stock=stock, cards=cards, bodies=bodies).routes(),
            *ImportRoutes(
                imports=imports, stock=stock, elements=network, patience=patience
            ).routes(),
            *BatchRoutes(batches, patience).routes(),
            *network.routes(),
            *MoveRoutes(moves, bodies=bodies).routes(),
            *FalloutRoutes(fallout, bulks, bodies=bodies).routes(),
            *AuditRoutes(audit, orders).routes(),
            *kinds.routes(),
            *MasterRoutes(masters, reconciler, bodies=bodies).routes(),
            web.get("/openapi.yaml", _openapi, allow_head=False),
        ]
    )
    return app


async def _openapi(_: web.Request) -> web.Response:
    return web.Response(body=_OPENAPI, content_type="application/yaml")


_OPENAPI = resources.files("hlrd.api").joinpath("openapi.yaml").read_bytes()
