"""The port for machines that watch."""

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from hlrd.api.admin import admin_app
from hlrd.api.seam import Status


async def test_alive_and_ready_are_two_questions() -> None:
    status = Status(ready=False, reason="draining")
    async with TestClient(TestServer(admin_app(lambda: status))) as client:
        alive = await client.get("/healthz")
        unready = await client.get("/readyz")
        told = await unready.json()

        status = Status(ready=True)
        ready = await client.get("/readyz")

    assert (alive.status, unready.status, ready.status) == (200, 503, 200)
    assert (told["code"], told["detail"]) == ("NOT_READY", "draining")
    assert unready.headers["Retry-After"] == "1"


async def test_the_metrics_are_what_prometheus_reads() -> None:
    async with TestClient(TestServer(admin_app(lambda: Status(ready=True)))) as client:
        text = await (await client.get("/metrics")).text()

    families = {family.name for family in text_string_to_metric_families(text)}
    assert "hlrd_orders_received" in families
    assert "hlrd_http_request_duration_seconds" in families
