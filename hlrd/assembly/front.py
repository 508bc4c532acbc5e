"""What is asked over HTTP, and who answers."""

from collections.abc import Callable

from aiohttp import web

from hlrd.api.auth import Tokens
from hlrd.api.public import public_app
from hlrd.api.seam import Status
from hlrd.assembly.core import Core
from hlrd.assembly.numbers import Numbers
from hlrd.assembly.site import Site
from hlrd.assembly.staff import Staff
from hlrd.assembly.upstream import Upstream
from hlrd.runtime.sessions import SessionDesk
from hlrd.store.connection import Pool
from hlrd.store.groups import GroupStore
from hlrd.store.products import ProductStore
from hlrd.store.reader import OrderReader


def build_front(
    site: Site,
    pool: Pool,
    core: Core,
    *,
    numbers: Numbers,
    upstream: Upstream,
    staff: Staff,
    sessions: SessionDesk,
    status: Callable[[], Status],
) -> web.Application:
    return public_app(
        tokens=Tokens((t.source, t.token.get_secret_value()) for t in site.settings.tokens),
        sessions=sessions,
        operators=staff.operators,
        status=status,
        intake=core.engine,
        desk=core.engine,
        recall=upstream.calendar,
        orders=OrderReader(pool),
        receipts=upstream.receipts,
        feed=upstream.feed,
        deliveries=upstream.deliveries,
        pools=numbers.pools,
        numbers=numbers.desk,
        forecasts=numbers.daybook,
        stock=numbers.stock,
        cards=numbers.cards,
        imports=numbers.imports,
        batches=upstream.batches.desk,
        reservations=numbers.reservations,
        products=ProductStore(pool),
        groups=GroupStore(pool),
        elements=core.drivers.values(),
        halts=staff.halts,
        moves=numbers.moves,
        fallout=staff.fallouts.desk,
        bulks=staff.fallouts.bulks,
        homes=site.homes,
        hlrs_away=site.settings.groups.homes,
        masters=staff.masters,
        reconciler=staff.reconciler,
        trail=staff.trail,
        audit=staff.audit,
    )
