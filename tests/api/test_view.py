"""What people are shown of an order whose user has another card by now."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from hlrd.api import view
from hlrd.domain.identity import Binding
from hlrd.ports import Closing
from hlrd.store.record import OrderRecord
from tests.adapters.conformance import an_adapter
from tests.engine.stage import Stage, card, user_of

OLD, NEW = str(card(1).imsi), str(card(1_001).imsi)


@pytest.fixture
def stage() -> Stage:
    """Suspended, then given another card."""
    stage = Stage()
    stage.users["7"] = user_of(1)
    stage.take(stage.suspend())
    stage.finish()
    stage.take(stage.replace_card())
    stage.finish()
    return stage


def requests(kind: str, closing: Closing, binding: Binding | None) -> list[str]:
    """The commands as they are shown, without those to the DSMP."""
    record = OrderRecord(
        closing.order_id, closing.source, "A1", kind, closing.state, closing.user_id, "op", "200",
        2, datetime.now(UTC), closing.closed_at, b"{}", binding, [closing.receipt], closing.trail,
    )  # fmt: skip
    adapter = an_adapter("huawei_hlr")
    shown: dict[str, Any] = msgspec.json.decode(
        view.order(
            record,
            None,
            masked=lambda task: adapter.masked(task) if task.ne == "hlr1" else None,
            obstacle=lambda ne: None,
            hold_of=lambda binding: None,
            lack_of=lambda kind, payload, *, is_bound: None,
        )
    )
    return [task["request"] for task in shown["tasks"] if task.get("request")]


def test_each_command_of_a_change_is_shown_with_the_card_it_was_about(stage: Stage) -> None:
    change = stage.journal.durable[-1]

    adding, switching, removing = requests("SIM_REPLACE", change, stage.users["7"].binding)

    assert adding.startswith("ADD KI:")
    assert f'IMSI="{NEW}"' in adding
    assert switching == f'MOD IMSI:HLRSN=1,IMSI="{OLD}",NEWIMSI="{NEW}";'
    assert removing == f'RMV KI:HLRSN=1,IMSI="{OLD}";'


def test_no_command_of_before_is_shown_with_the_card_that_came_after(stage: Stage) -> None:
    suspension = stage.journal.durable[0]

    assert requests("ARREARS_SUSPEND", suspension, stage.users["7"].binding) == []
    assert requests("ARREARS_SUSPEND", suspension, user_of(1).binding) != []
