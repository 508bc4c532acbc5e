"""An enterprise that owes: who becomes its member meanwhile is stopped like all others, over a kill
of the daemon too, and goes on with them."""

import pytest

from hlrd.domain.orders import Source
from tests.e2e.group_system import Office, an_office

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def levels(office: Office) -> list[bool]:
    """Of each subscriber at the HLR, whether it is barred two-way."""
    return [row["ic"] for row in await office.dump("hlr1") if row.get("isdn")]


async def said(office: Office, verb: str) -> None:
    url = f"{office.stack.url}/v1/network-elements/hlr1/{verb}"
    headers = {"Authorization": f"Bearer {office.stack.token(Source.OPS)}", "Operator-Id": "li4"}
    async with office.stack.http.post(url, json={"cause": "a case"}, headers=headers) as response:
        assert response.status == 200, await response.text()


async def test_nobody_is_free_who_becomes_a_member_while_his_enterprise_owes() -> None:
    async with an_office("gateway", "nation", "class1") as office:
        await office.publish("nation", "class1")
        assert await office.result("EC_PRODUCT_SUBSCRIBE", **office.about_ec()) == "succeeded"
        assert await office.result("MEMBER_ACTIVATE", user_id="801", ec_code="EC1") == "succeeded"
        await said(office, "drain")
        under_way = await office.post("MEMBER_ACTIVATE", wait=False, user_id="802", ec_code="EC1")
        stop = await office.post("EC_SUSPEND_ALL", Source.BOSS, wait=False, ec_code="EC1")
        late = await office.post("MEMBER_ACTIVATE", wait=False, user_id="803", ec_code="EC1")
        await said(office, "release")
        for answer in (under_way, stop, late):
            assert (await office.closed(answer["id"]))["result"] == "succeeded"
        assert await levels(office) == [True] * 3

        await office.restart_daemon()
        assert await office.result("MEMBER_ACTIVATE", user_id="804", ec_code="EC1") == "succeeded"
        assert await levels(office) == [True] * 4

        assert await office.result("EC_RESUME_ALL", Source.BOSS, ec_code="EC1") == "succeeded"
        assert await levels(office) == [False] * 4
        assert await office.result("MEMBER_ACTIVATE", user_id="805", ec_code="EC1") == "succeeded"
        assert await levels(office) == [False] * 5
