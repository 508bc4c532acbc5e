"""The catalogue has every flow of the seeds, complete, and finds each by what people call it."""

import pytest

from hlrd.domain import catalogue as orders
from loadtest.flow.catalogue import FLOWS, find
from loadtest.flow.flow import Flow

IDS = [f"F{number:02d}" for number in range(1, 26)]


def test_every_flow_has_one_row_in_its_order() -> None:
    assert [flow.id for flow in FLOWS] == IDS
    assert len({flow.slug for flow in FLOWS}) == len(FLOWS)
    assert len({flow.chinese for flow in FLOWS}) == len(FLOWS)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.id)
def test_every_flow_proves_its_sentences_and_its_failures(flow: Flow) -> None:
    assert flow.acts.checks
    assert flow.acts.faults
    assert flow.acts.small <= flow.acts.size
    for check in (*flow.acts.checks, *flow.acts.faults):
        assert "{" not in check.told(flow.acts.size)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.id)
def test_every_kind_of_order_of_a_flow_is_one_of_hlrd(flow: Flow) -> None:
    assert set(flow.kinds) <= set(orders.BY_NAME)


def test_a_flow_is_found_by_id_name_and_part_of_a_name() -> None:
    assert [flow.id for flow in find("f10")] == ["F10"]
    assert [flow.id for flow in find("arrears-boss")] == ["F10"]
    assert [flow.id for flow in find("arrears")] == ["F10", "F11"]
    assert [flow.id for flow in find("欠费停机")] == ["F10", "F11"]
    assert [flow.id for flow in find("缴费开机")] == ["F12", "F13", "F14"]
    assert find("all") == FLOWS
    assert not find("nothing is called so")
