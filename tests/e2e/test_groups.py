"""Group business on the whole system, and what the HLR, each platform and each relay hold of it."""

from typing import Any

import pytest

from hlrd.domain.orders import Source
from loadtest.faults import Chance, Fault, Once, Profile
from tests.e2e.group_system import LEAD, PARTNER, Office, an_office

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CLASS_1 = ("gateway", "nation", "class1")
CLASS_2 = ("gateway", "nation", "platform", "management")
HELD = "/ecs/EC1/products/TRACK"
PARTNERS: dict[str, Any] = {
    "scope": "crossProvince",
    "route": "BBOSS",
    "partner_provinces": [PARTNER],
}


async def states(office: Office, code: str = "EC1") -> list[str]:
    return [one["state"] for one in (await office.ask(f"/v1/ecs/{code}"))["products"]]


async def test_members_wait_for_the_gateway_and_partners_are_told_once() -> None:
    """F17, F18 and F23."""
    async with an_office(*CLASS_1, headquarters=True) as office:
        await office.publish("nation", "class1")
        await office.shut("gateway")

        ec = await office.post("EC_PRODUCT_SUBSCRIBE", wait=False, **office.about_ec(**PARTNERS))
        member = await office.post("MEMBER_ACTIVATE", wait=False, user_id="901", ec_code="EC1",
                                   route="BBOSS")  # fmt: skip
        await office.become("class1", HELD)
        assert await states(office) == ["pending"]
        waits = (await office.ask(f"/v1/work-orders/{member['id']}"))["waits"]
        assert waits["reason"] == "EC_NOT_READY"
        await office.restart_daemon()
        assert await states(office) == ["pending"]
        assert await office.hlr_log("ADD") == []
        await office.stack.restart_element("gateway")

        assert (await office.closed(ec["id"]))["result"] == "succeeded"
        receipt = await office.closed(member["id"])
        assert (receipt["result"], receipt["msisdn"]) == ("succeeded", member["msisdn"])
        assert await states(office) == ["active"]
        assert HELD in await office.resources("gateway")
        assert ("SUBSCRIBE", HELD, 1) in await office.effects("partner")
        assert f"/members/{member['msisdn']}" in await office.resources("pboss")

        await by_route_boss1_the_bboss_sees_nothing(office)
        await a_partners_members_are_listed_and_nothing_else(office)


async def by_route_boss1_the_bboss_sees_nothing(office: Office) -> None:
    seen = await office.served("bboss")

    assert await office.result("EC_PRODUCT_SUBSCRIBE", **office.about_ec("EC2")) == "succeeded"
    told: dict[str, Any] = {"user_id": "902", "ec_code": "EC2", "route": "BOSS1"}
    assert await office.result("MEMBER_ACTIVATE", **told) == "succeeded"

    assert "/ecs/EC2/products/TRACK" in await office.resources("pboss")
    assert [row for row in await office.served("bboss") if row not in seen] == []


async def a_partners_members_are_listed_and_nothing_else(office: Office) -> None:
    hlr, pool = len(await office.hlr_log("ADD")), await office.ask("/v1/pools/iot")
    told: list[dict[str, Any]] = [
        {"ec_code": "EC1", "msisdn": f"10649900000{n:02}", "partner_province": PARTNER}
        for n in range(20)
    ]

    for one in (*told, *told):
        assert await office.result("PARTNER_MEMBER_IMPORT", Source.BBOSS, **one) == "succeeded"

    shown = await office.ask("/v1/ecs/EC1", Source.ESOP)
    assert (shown["members"], shown["partner_members"]) == (1, 20)
    page = await office.ask("/v1/ecs/EC1/members?limit=10", Source.ESOP)
    assert [one["origin"] for one in page["members"]] == ["own"] + ["partner"] * 9
    assert len(await office.hlr_log("ADD")) == hlr
    assert (await office.ask("/v1/pools/iot"))["numbers"] == pool["numbers"]


async def test_what_headquarters_refuses_the_hlr_never_hears_of() -> None:
    """F20 and F21."""
    async with an_office(*CLASS_1, headquarters=True) as office:
        answer = await office.post("MEMBER_ACTIVATE", wait=False, user_id="901", ec_code="EC9")

        assert (await office.closed(answer["id"]))["ne_code"] == "EC_UNKNOWN"
        assert await office.hlr_log("ADD", "RMV") == []
        number = await office.ask(f"/v1/numbers/{answer['msisdn']}")
        card = await office.ask(f"/v1/sim-cards/{answer['iccid']}")
        assert number["state"] in {"idle", "leased"}
        assert card["state"] in {"inStock", "leased"}

        await office.publish("nation", "class1")
        assert await office.result("EC_PRODUCT_SUBSCRIBE", **office.about_ec()) == "succeeded"
        await office.stack.control("hlr1", "PUT", "/faults", Profile(once=[Once(Fault.REFUSE)]))
        failed = await office.post("MEMBER_ACTIVATE", user_id="902", ec_code="EC1")
        assert failed["receipt"]["result"] == "failed"
        assert await office.resources("pboss") == [HELD]
        good = await office.post("MEMBER_ACTIVATE", user_id="903", ec_code="EC1")
        assert good["receipt"]["result"] == "succeeded"
        assert f"/members/{good['msisdn']}" in await office.resources("pboss")
        await no_key_is_in_any_log(office)

        told: dict[str, Any] = {"user_id": "903", "ec_code": "EC1", "terminate": True}
        assert await office.result("MEMBER_REMOVE", **told) == "succeeded"
        assert await office.resources("pboss") == [HELD]
        assert await office.users_at_hlr() == []
        assert (await office.ask("/v1/ecs/EC1"))["members"] == 0


async def no_key_is_in_any_log(office: Office) -> None:
    """Nor is it in a dump, an answer or a receipt; keys are 32 hexadecimal digits."""
    shown: list[Any] = [await office.ask("/v1/receipts?after=0", Source.ESOP)]
    for name in ("boss1", "pboss"):
        shown += [await office.dump(name), await office.dump(name, "/log")]
        shown.append(office.stack.elements[name].log.read_text())
    shown.append(office.stack.daemon.log.read_text())

    words = "".join(map(str, shown)).replace('"', " ").replace("'", " ").split()

    hexadecimal = set("0123456789abcdefABCDEF")
    assert [word for word in words if len(word) == 32 and set(word) <= hexadecimal] == []


async def test_a_leg_is_done_when_the_last_hop_says_so() -> None:
    """F19 and F25."""
    async with an_office(*CLASS_2) as office:
        await office.publish("platform", "management")
        await office.shut("nation")

        ec = await office.post(
            "EC_PRODUCT_SUBSCRIBE", wait=False, **office.about_ec(product_class=2)
        )
        await office.become("platform", HELD)
        await office.become("management", HELD)
        assert await states(office) == ["pending"]
        assert HELD not in await office.resources("gateway")
        await office.stack.restart_element("nation")
        assert (await office.closed(ec["id"]))["result"] == "succeeded"
        assert HELD in await office.resources("gateway")

        seen = await office.served("platform")
        straight = office.about_ec("EC2", product_class=2, straight=True)
        assert await office.result("EC_PRODUCT_SUBSCRIBE", **straight) == "succeeded"
        assert "/ecs/EC2/products/TRACK" in await office.resources("gateway")
        assert [row for row in await office.served("platform") if row not in seen] == []

        await a_members_product_goes_down_the_chain_and_back(office)


async def a_members_product_goes_down_the_chain_and_back(office: Office) -> None:
    told: dict[str, Any] = {"user_id": "901", "ec_code": "EC1", "product_class": 2}
    opened = await office.post("MEMBER_ACTIVATE", **told)
    product: dict[str, Any] = {"user_id": "901", "ec_code": "EC1", "product": "TRACK"}
    users = f"/users/{opened['msisdn']}/products/TRACK"

    assert await office.result("MEMBER_PRODUCT_SUBSCRIBE", **product) == "succeeded"
    for name in CLASS_2:
        assert users in await office.resources(name)
    assert await office.result("EC_PRODUCT_CANCEL", ec_code="EC1", product="TRACK") == (
        "EC_HAS_MEMBERS"
    )

    assert await office.result("MEMBER_REMOVE", user_id="901", ec_code="EC1") == "succeeded"
    for name in CLASS_2:
        assert users not in await office.resources(name)
    assert await office.result("EC_PRODUCT_CANCEL", ec_code="EC1", product="TRACK") == "succeeded"
    assert HELD not in await office.resources("gateway")
    assert len(await office.users_at_hlr()) == 1, "the user goes on without its enterprise"


async def test_products_wait_for_their_members_and_fail_with_them_without_a_command() -> None:
    """F22 and F24: products first in the file, the enterprise last."""
    members, refused = 300, 20
    async with an_office(*CLASS_1, settings='ec_unknown = "wait"', orders=members) as office:
        await office.publish("nation", "class1")
        users = [f"{7_000_000 + n}" for n in range(members)]
        products = [
            office.order("MEMBER_PRODUCT_SUBSCRIBE", user_id=user, ec_code="EC1", product="TRACK")
            for user in users
        ]
        openings = [office.order("MEMBER_ACTIVATE", user_id=user, ec_code="EC1") for user in users]
        fault = [Once(Fault.REFUSE, "ADD TPLSUB")] * refused
        await office.stack.control("hlr1", "PUT", "/faults", Profile(once=fault))

        answers = await office.post_all([*products, *openings])
        assert await office.hlr_log("ADD") == []
        assert await office.result("EC_PRODUCT_SUBSCRIBE", **office.about_ec()) == "succeeded"
        receipts = await office.all_closed(answers)

        by_user: dict[str, dict[str, dict[str, Any]]] = {}
        for receipt in receipts:
            by_user.setdefault(receipt["user_id"], {})[receipt["type"]] = receipt
        failed = 0
        for both in by_user.values():
            base, product = both["MEMBER_ACTIVATE"], both["MEMBER_PRODUCT_SUBSCRIBE"]
            if base["result"] == "succeeded":
                assert product["result"] == "succeeded"
                assert product["first_command_at"] > base["closed_at"]
            else:
                failed += 1
                assert (product["result"], product["code"]) == ("failed", "DEPENDENCY_FAILED")
                assert "first_command_at" not in product
        assert failed == refused
        assert len(await office.users_at_hlr()) == members - refused
        assert (await office.ask("/v1/ecs/EC1"))["members"] == members - refused
        gateway = [name for name in await office.resources("gateway") if name.startswith("/users")]
        assert len(gateway) == members - refused


async def test_a_refusal_at_the_gateway_leaves_the_member_as_it_was() -> None:
    """F22: undone in reverse, the base capability untouched."""
    async with an_office(*CLASS_1) as office:
        await office.publish("nation", "class1")
        assert await office.result("EC_PRODUCT_SUBSCRIBE", **office.about_ec()) == "succeeded"
        told: dict[str, Any] = {"user_id": "901", "ec_code": "EC1", "province": LEAD}
        opened = await office.post("MEMBER_ACTIVATE", **told)
        fault = Profile(once=[Once(Fault.REFUSE, "SUBSCRIBE")])
        await office.stack.control("gateway", "PUT", "/faults", fault)

        product: dict[str, Any] = {"user_id": "901", "ec_code": "EC1", "product": "TRACK"}
        assert await office.result("MEMBER_PRODUCT_SUBSCRIBE", **product) == "NE_REFUSED"

        users = f"/users/{opened['msisdn']}/products/TRACK"
        for name in CLASS_1:
            assert users not in await office.resources(name)
        (row,) = [row for row in await office.dump("hlr1") if row.get("isdn")]
        assert not row.get("gprs", {})
        assert await office.result("MEMBER_PRODUCT_SUBSCRIBE", **product) == "succeeded"
        assert users in await office.resources("gateway")


async def test_a_kill_leaves_headquarters_hlr_and_list_in_agreement() -> None:
    """F20 over a kill of the daemon and lost answers: each member is everywhere, and once."""
    members = 100
    async with an_office(*CLASS_1, headquarters=True, orders=members) as office:
        await office.publish("nation", "class1")
        assert await office.result("EC_PRODUCT_SUBSCRIBE", **office.about_ec()) == "succeeded"
        lossy = Profile(chance=Chance(withhold=0.02, cut_after=0.03))
        for name in ("boss1", "hlr1"):
            await office.stack.control(name, "PUT", "/faults", lossy)

        orders = [
            office.order("MEMBER_ACTIVATE", user_id=f"{7_000_000 + n}", ec_code="EC1")
            for n in range(members)
        ]
        answers = await office.post_all(orders)
        await office.become_more("hlr1", than=10)
        await office.restart_daemon()
        receipts = await office.all_closed(answers)

        assert {receipt["result"] for receipt in receipts} == {"succeeded"}
        numbers = {answer["msisdn"] for answer in answers}
        assert {receipt["msisdn"] for receipt in receipts} == numbers
        registry = await office.resources("pboss")
        assert {name.removeprefix("/members/") for name in registry if name != HELD} == numbers
        assert [effect for effect in await office.effects("pboss") if effect[2] > 1] == []
        assert len(await office.users_at_hlr()) == members
        listed = await office.ask("/v1/ecs/EC1/members?limit=1000")
        assert {one["msisdn"] for one in listed["members"]} == numbers
