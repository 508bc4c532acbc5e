"""The outermost ring of every request: whatever is raised becomes an answer, and is counted."""

from collections.abc import Awaitable, Callable
from time import perf_counter

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from hlrd import metrics
from hlrd.api import problem
from hlrd.domain.errors import Refusal, Unavailable
from hlrd.store.errors import StoreUnavailable

_log = structlog.get_logger(__name__)


@web.middleware
async def _edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = perf_counter()
    response = await _answer(request, handler)
    response.headers[hdrs.SERVER] = "hlrd"  # aiohttp's own would tell every version
    route = _route(request)
    metrics.HTTP_REQUESTS.labels(route, str(response.status)).inc()
    metrics.HTTP_DURATION.labels(route).observe(perf_counter() - started)
    return response


edge: Middleware = _edge


async def _answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return problem.respond(refusal)
    except web.HTTPException as error:
        return problem.respond_to(error)
    except StoreUnavailable as error:
        _log.warning("http_store_unavailable", route=_route(request), error=str(error))
        return problem.respond(
            Unavailable("STORE_UNAVAILABLE", "the database is out of reach; ask again later", 1.0)
        )
    except Exception:
        _log.exception("http_failed", route=_route(request))
        return problem.respond(problem.Failure("INTERNAL", "hlrd failed; the log says how"))


def _route(request: web.Request) -> str:
    """Method and path template: a closed set, whatever clients ask for."""
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical}" if resource else "unmatched"
