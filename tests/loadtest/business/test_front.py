"""CRM and BOSS as others see them: their HTTP, their channel, and what they note."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from loadtest import client
from loadtest.business.message import Party
from loadtest.business.portal import PortalSettings
from loadtest.process import until
from tests.loadtest.business.front_stack import DEADLINE_S, MASTERS, PASSWORD, Site, opening, site


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_RECONNECT_S", 0.01)


@pytest_asyncio.fixture
async def made() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


async def over(made: Site, run: str) -> dict[str, Any]:
    core = made.systems["boss"].core  # type: ignore[attr-defined]
    await until(
        lambda: core.runs[run].row()["is_over"], deadline_s=DEADLINE_S, what="the run is over"
    )
    _, row = await made.ask("boss", "GET", f"/credit-control/{run}")
    return dict(row)


async def test_a_sync_opening_answers_when_the_order_is_closed(made: Site) -> None:
    account_id = await made.account()
    body = opening(account_id, number=1, mode="sync")

    status, order = await made.ask("crm", "POST", "/users", body)

    assert (status, order["state"], order["result"]) == (200, "closed", "succeeded")
    _, user = await made.ask("crm", "GET", f"/users/{order['user_id']}")
    assert (user["state"], user["level"]) == ("active", 0)
    posted = made.daemon.orders[order["sub_orders"][1]["order_id"]]
    assert posted["mode"] == "sync"


async def test_a_deadline_is_no_failure(made: Site) -> None:
    made.daemon.verdict = lambda order: None
    account_id = await made.account()

    status, order = await made.ask(
        "crm", "POST", "/users", opening(account_id, number=1, mode="sync", deadline_ms=50)
    )
    assert (status, order["state"], order["code"]) == (202, "open", "")

    made.daemon.close(order["sub_orders"][1]["order_id"])
    closed = await made.closed("crm", order["order_id"])
    assert closed["result"] == "succeeded"


async def test_orders_are_taken_while_hlrd_is_away_and_close_when_it_is_back(made: Site) -> None:
    account_id = await made.account()
    made.daemon.is_away = True

    many = [opening(account_id, number=number) for number in range(20)]
    status, orders = await made.ask("crm", "POST", "/users", many)
    assert status == 202
    assert {order["state"] for order in orders} == {"open"}

    made.daemon.is_away = False
    for order in orders:
        assert (await made.closed("crm", order["order_id"]))["result"] == "succeeded"


async def test_one_wish_of_several_that_is_declined_concerns_no_other(made: Site) -> None:
    account_id = await made.account()
    many = [
        opening(account_id, number=1),
        opening("404", number=2),
        opening(account_id, number=3),
    ]

    _, answers = await made.ask("crm", "POST", "/users", many)

    assert [one.get("code") or one["act"] for one in answers] == [
        "USER_OPEN",
        "ACCOUNT_UNKNOWN",
        "USER_OPEN",
    ]


@pytest.mark.parametrize("province", MASTERS)
async def test_arrears_and_payment_go_round_under_each_scheme(made: Site, province: str) -> None:
    account_id = await made.account()
    user_id = await made.user(province, account_id)
    await made.ask("boss", "POST", "/bills", [{"account_id": account_id, "amount": 100}])

    _, run = await made.ask("boss", "POST", "/credit-control", {"bill_month": "202512"})
    assert (await over(made, run["run"]))["users"] == 1
    await settled(made)
    for system in ("crm", "boss"):
        _, user = await made.ask(system, "GET", f"/users/{user_id}")
        assert user["reasons"] == {"ARREARS": 2}

    body = {"operator_id": "zhang3", "account_id": account_id, "amount": 100}
    status, paid = await made.ask("crm", "POST", "/payments", body)
    assert (status, paid["balance"], paid["account_state"]) == (200, 0, "normal")
    await settled(made)
    for system in ("crm", "boss"):
        _, user = await made.ask(system, "GET", f"/users/{user_id}")
        assert (user["reasons"], user["state_version"]) == ({}, 2)
    kinds = [order["type"] for order in made.daemon.orders.values()]
    assert kinds == ["USER_OPEN", "ARREARS_SUSPEND", "PAYMENT_RESUME"]


async def settled(made: Site) -> None:
    def is_settled() -> bool:
        return all(
            system.orders.open_count == len(system.to_peer) == len(system.to_hlrd) == 0
            for system in made.systems.values()
        )

    await until(is_settled, deadline_s=DEADLINE_S, what="nothing is open")


async def test_both_sides_send_the_same_change_under_two_order_ids_as_a_backup(
    made: Site,
) -> None:
    user_id = await made.user("220")
    for system in ("crm", "boss"):
        await made.control(system, "PUT", "/backup", {"sends": "both"})

    body = {"operator_id": "zhang3", "cause": "出差", "mode": "sync"}
    status, order = await made.ask("crm", "POST", f"/users/{user_id}/stop", body)
    assert (status, order["result"]) == (200, "succeeded")
    await settled(made)

    stops = [one for one in made.daemon.orders.values() if one["type"] == "VOLUNTARY_SUSPEND"]
    assert len({one["order_id"] for one in stops}) == 2
    assert len({(one["root_order_id"], one["state_version"]) for one in stops}) == 1


async def test_credit_control_goes_no_faster_than_asked(made: Site) -> None:
    account_id = await made.account()
    many = [opening(account_id, number=number) for number in range(10)]
    _, orders = await made.ask("crm", "POST", "/users", many)
    for order in orders:
        await made.closed("crm", order["order_id"])
    loop = asyncio.get_running_loop()
    started_at = loop.time()

    _, run = await made.ask(
        "boss", "POST", "/credit-control", {"accounts": [account_id], "rate": 100}
    )
    await over(made, run["run"])

    assert loop.time() - started_at >= 0.05


async def test_a_product_is_published_when_its_tariffs_are_configured(made: Site) -> None:
    product = {
        "operator_id": "zhang3",
        "product": "VIDEO",
        "product_version": 1,
        "name": "物联网视频",
        "services": [{"name": "VIDEO", "kind": "content"}],
    }
    status, waiting = await made.ask("crm", "POST", "/products", product)
    assert (status, waiting["state"]) == (202, "created")
    assert made.daemon.orders == {}

    tariffs = {"operator_id": "wang5", "rating": "1分/KB", "billing": "月租5元"}
    await made.ask("boss", "POST", "/products/VIDEO/tariffs", tariffs)
    await settled(made)
    await until(lambda: len(made.daemon.orders) == 1, deadline_s=DEADLINE_S, what="published")
    await settled(made)
    _, shown = await made.ask("crm", "GET", "/products/VIDEO")
    assert (shown["state"], shown["number"]) == ("active", 1)

    status, again = await made.ask("crm", "POST", "/products", product)
    assert again["act"] == "PRODUCT_PUBLISH"
    assert "rating" not in str(made.daemon.orders)


async def test_who_is_unknown_is_told_so(made: Site) -> None:
    for system, path, code in (
        ("crm", "/users/404", "USER_UNKNOWN"),
        ("crm", "/orders/404", "ORDER_UNKNOWN"),
        ("crm", "/customers/404", "CUSTOMER_UNKNOWN"),
        ("boss", "/accounts/404", "ACCOUNT_UNKNOWN"),
        ("boss", "/credit-control/404", "RUN_UNKNOWN"),
        ("boss", "/products/404", "PRODUCT_UNKNOWN"),
    ):
        status, problem = await made.ask(system, "GET", path)
        assert (status, problem["code"]) == (404, code)


async def test_a_body_that_is_none_is_declined(made: Site) -> None:
    status, problem = await made.ask("crm", "POST", "/customers", {"name": "客户"})

    assert (status, problem["code"]) == (400, "BODY_INVALID")


async def test_every_message_of_an_opening_is_noted_by_who_sent_it(made: Site) -> None:
    await made.user()

    crm = [Noted(*row) for row in await made.control("crm", "GET", "/messages")]
    names = [one.name for one in crm if one.sender == Party.CRM]
    assert [name for name in names if name != "数据访问请求"] == [
        "提交系统登录用户名、密码",
        "创建客户、账户请求",
        "开户响应",
        "定购类订单请求",
        "开通类订单请求",
        "定购响应",
    ]
    boss = [Noted(*row) for row in await made.control("boss", "GET", "/messages")]
    assert {one.receiver for one in boss if one.name == "数据访问请求"} == {Party.BOSS_DB}
    assert PASSWORD not in str(crm + boss)


class Noted:
    def __init__(self, number: int, message: dict[str, Any]) -> None:
        self.sender, self.receiver = message["sender"], message["receiver"]
        self.name, self.detail = message["name"], message["detail"]

    def __repr__(self) -> str:
        return f"{self.sender} {self.receiver} {self.name} {self.detail}"


async def test_the_tables_can_be_filled_and_are_dumped_as_they_were(made: Site) -> None:
    await made.user()
    rows = await made.control("boss", "GET", "/dump")
    users = [line["row"] for line in rows if line["table"] == "users"]
    more = [{**users[0], "user_id": f"77{number}"} for number in range(3)]

    assert await made.control("boss", "POST", "/rows", {"users": more}) == {"users": 4}

    rows = await made.control("boss", "GET", "/dump")
    found = [line["row"] for line in rows if line["table"] == "users"]
    assert found == users + more


async def test_the_channel_can_be_lost_and_orders_outlive_it(made: Site) -> None:
    made.daemon.verdict = lambda order: None
    account_id = await made.account()
    many = [opening(account_id, number=number) for number in range(100)]
    await made.ask("crm", "POST", "/users", many)
    await until(lambda: len(made.daemon.orders) == 100, deadline_s=DEADLINE_S, what="posted")

    assert (await made.control("crm", "POST", "/channel/lose"))["is_open"] is False
    for order_id in list(made.daemon.orders):
        made.daemon.close(order_id)
    assert made.systems["crm"].orders.open_count == 100

    await made.control("crm", "POST", "/channel/open")
    await settled(made)
    assert (await made.control("crm", "GET", "/channel"))["logins"] == 2


async def test_a_system_that_is_away_answers_nobody_and_loses_no_row(made: Site) -> None:
    known = await made.account()
    new = {"operator_id": "zhang3", "name": "示例客户", "customer_id": "7001"}

    await made.control("boss", "PUT", "/away", {"on": True})
    declined, problem = await made.ask("crm", "POST", "/customers", new)
    await made.control("boss", "PUT", "/away", {"on": False})
    opened, _ = await made.ask("crm", "POST", "/customers", new)

    assert (declined, problem["code"], opened) == (503, "PEER_AWAY", 201)
    status, _ = await made.ask("boss", "GET", f"/accounts/{known}")
    assert status == 200


async def test_the_control_port_ends_it(made: Site) -> None:
    await made.control("crm", "POST", "/stop")

    assert made.systems["crm"].stopping.is_set()


RESEND = {"right": "fallout.resend", "subject": "17", "body": {"operator_id": "zhang3"}}


async def test_who_has_no_cookie_is_sent_to_the_sso() -> None:
    async with site(PortalSettings()) as made:
        for cookies in ({}, {"sso": "stale"}):
            status, where = await made.ask("crm", "GET", "/ui", cookies=cookies)
            assert status == 302
            assert URL(where).path == "/login"
            assert URL(where).query["return"].endswith("/ui")

        status, problem = await made.ask("crm", "POST", "/ui/operations", RESEND)
        assert (status, problem["code"]) == (401, "COOKIE_INVALID")


async def test_with_local_rights_the_sso_is_asked_who_it_is_and_nothing_else() -> None:
    rights = {"zhang3": frozenset({"read", "fallout.resend"})}
    async with site(PortalSettings(rights=rights)) as made:
        for system in ("crm", "boss"):
            cookies = {"sso": "good"}
            _, page = await made.ask(system, "GET", "/ui", cookies=cookies)
            assert page == {"operator": "zhang3", "operations": ["read", "fallout.resend"]}

        denied = {**RESEND, "right": "fallout.cancel"}
        status, problem = await made.ask("crm", "POST", "/ui/operations", denied, cookies=cookies)
        assert (status, problem["code"]) == (403, "RIGHT_MISSING")
        status, done = await made.ask("crm", "POST", "/ui/operations", RESEND, cookies=cookies)
        assert done == {"status": 200, "content": {"state": "queued"}}
        assert made.daemon.resent == [("Bearer jwt-of-zhang3", "17", {"operator_id": "zhang3"})]
        assert made.sso.questions == []


async def test_with_central_rights_each_operation_is_a_question_of_its_own() -> None:
    async with site(PortalSettings(is_central=True)) as made:
        cookies = {"sso": "good"}
        made.sso.rights = {"fallout.resend"}
        _, page = await made.ask("crm", "GET", "/ui", cookies=cookies)
        assert page["operations"] == ["fallout.resend"]

        made.sso.questions.clear()
        made.sso.rights = set()
        status, problem = await made.ask("crm", "POST", "/ui/operations", RESEND, cookies=cookies)
        assert (status, problem["code"]) == (403, "RIGHT_MISSING")
        assert made.sso.questions == ["fallout.resend"]
