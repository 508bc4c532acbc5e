"""The port for machines that watch: is the process alive, may it get work, how is it doing."""

from collections.abc import Callable

import msgspec
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from hlrd import metrics
from hlrd.api.edge import edge
from hlrd.api.seam import Status
from hlrd.api.typed import as_json
from hlrd.domain.errors import Unavailable


def admin_app(status: Callable[[], Status]) -> web.Application:
    """`status` is asked at every /readyz. A network element that is down is no reason to be
    unready: its orders wait, those of others go on."""

    async def healthz(_: web.Request) -> web.Response:
        return as_json(msgspec.json.encode({"status": "alive"}))

    async def readyz(_: web.Request) -> web.Response:
        now = status()
        if not now.ready:
            raise Unavailable("NOT_READY", now.reason, retry_after_s=1.0)
        return as_json(msgspec.json.encode({"status": "ready"}))

    app = web.Application(middlewares=[edge])
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", make_aiohttp_handler(metrics.REGISTRY)),
        ]
    )
    return app
