"""Who may stop and resume a province's users, and what the master's word does to what hlrd has."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.authority import may_clear
from hlrd.domain.errors import BadRequest, NotAllowed, Refusal, Unavailable
from hlrd.domain.identity import MSISDN
from hlrd.domain.master import Master, Masters, Mastery, told
from hlrd.domain.orders import Source, decode
from hlrd.domain.orders.standing import LeveledReason
from hlrd.domain.reconciliation import Comparison, Held, Said, named
from hlrd.domain.suspension import Level, Reason, Reasons

ONE, TWO = Level.ONE_WAY, Level.TWO_WAY
REASONS = st.dictionaries(st.sampled_from(Reason), st.sampled_from([ONE, TWO]))
SPEAKERS = st.sampled_from([Source.BOSS, Source.CRM, Source.OPS])


def refusal_of(masters: Masters, source: str, province: str = "200") -> str | None:
    try:
        masters.refuse(province, source)
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize(
    ("master", "taken"),
    [
        (Master.BOSS, {"BOSS", "OPS"}),
        (Master.CRM, {"CRM", "OPS"}),
        (Master.BACKUP, {"BOSS", "CRM", "OPS"}),
    ],
)
def test_only_the_master_and_staff_may_change_state(master: Master, taken: set[str]) -> None:
    masters = Masters(master, {})

    found = {source for source in ("BOSS", "CRM", "OPS") if refusal_of(masters, source) is None}

    assert found == taken
    for source in {"BOSS", "CRM", "OPS"} - taken:
        with pytest.raises(NotAllowed, match=str(master)):
            masters.refuse("200", source)


def test_each_province_has_its_own_master() -> None:
    masters = Masters(Master.BOSS, {"200": Master.CRM})

    assert refusal_of(masters, "BOSS", "200") == "NOT_STATE_MASTER"
    assert refusal_of(masters, "CRM", "200") is None
    assert refusal_of(masters, "BOSS", "100") is None
    assert refusal_of(masters, "CRM", "100") == "NOT_STATE_MASTER"


@pytest.mark.parametrize("source", ["BOSS", "CRM", "OPS"])
def test_while_the_master_changes_nobodys_word_counts(source: str) -> None:
    masters = Masters(Master.BOSS, {})
    masters.put("200", Mastery(Master.BOSS, Master.CRM))

    with pytest.raises(Unavailable) as refused:
        masters.refuse("200", source)

    assert (refused.value.code, refused.value.retry_after_s) == ("MASTER_SWITCHING", 5.0)
    assert refusal_of(masters, source, "100") == ("NOT_STATE_MASTER" if source == "CRM" else None)


def test_who_is_not_even_the_next_master_is_not_told_to_come_back() -> None:
    masters = Masters(Master.BOSS, {})
    masters.put("200", Mastery(Master.BOSS, Master.BOSS))

    assert refusal_of(masters, "CRM") == "NOT_STATE_MASTER"


@given(REASONS, REASONS, SPEAKERS)
def test_what_the_master_has_no_right_to_clear_stays(
    held: Reasons, said: Reasons, source: Source
) -> None:
    after = told(held, named(said), source)

    for reason in Reason:
        if reason in said:
            assert after[reason] == said[reason]
        elif may_clear(source, reason):
            assert reason not in after
        else:
            assert after.get(reason) == held.get(reason)


@given(REASONS, REASONS, SPEAKERS)
def test_the_same_word_twice_is_the_same(held: Reasons, said: Reasons, source: Source) -> None:
    once = told(held, named(said), source)

    assert told(once, named(said), source) == once


def state_order(kind: str, **fields: object) -> object:
    header = {"order_id": "A", "province": "200", "operator_id": "op", "user_id": "7"}
    document = {"type": kind, "msisdn": "13800000001", **header, **fields}
    return decode(msgspec.json.encode(document))


ARREARS_2 = {"reason": "ARREARS", "level": 2}
ARREARS_1 = {"reason": "ARREARS", "level": 1}
VOLUNTARY_2 = {"reason": "VOLUNTARY", "level": 2}


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("ARREARS_SUSPEND", {"level": 2, "reasons": [ARREARS_2]}, "STATE_VERSION_MISSING"),
        (
            "ARREARS_SUSPEND",
            {"level": 2, "state_version": 1, "reasons": [VOLUNTARY_2]},
            "REASONS_CONTRADICT",
        ),
        (
            "ARREARS_SUSPEND",
            {"level": 2, "state_version": 1, "reasons": [ARREARS_1]},
            "REASONS_CONTRADICT",
        ),
        (
            "PAYMENT_RESUME",
            {"state_version": 1, "reasons": [ARREARS_1]},
            "REASONS_CONTRADICT",
        ),
        (
            "PAYMENT_RESUME",
            {"state_version": 1, "reasons": [VOLUNTARY_2, VOLUNTARY_2]},
            "REASON_TWICE",
        ),
        ("NE_REPAIR", {"reasons": [ARREARS_2]}, "STATE_VERSION_MISSING"),
    ],
)
def test_a_word_that_contradicts_itself_is_refused(
    kind: str, fields: dict[str, object], code: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        state_order(kind, **fields)

    assert refused.value.code == code


def test_a_word_that_agrees_with_its_order_is_taken() -> None:
    state_order("ARREARS_SUSPEND", level=1, state_version=3, reasons=[ARREARS_2, VOLUNTARY_2])
    state_order("PAYMENT_RESUME", state_version=3, reasons=[])


# Reconciliation.


def a_word(**changes: object) -> Said:
    fixed: dict[str, Any] = {
        "user_id": "7",
        "reasons": [LeveledReason(Reason.ARREARS, 2)],
        "state_version": 5,
    }
    return Said(**(fixed | changes))


def held(**changes: object) -> Held:
    fixed: dict[str, Any] = {"province": "200", "reasons": {}, "version": None, "is_busy": False}
    return Held(MSISDN("13800000001"), **(fixed | changes))


@pytest.mark.parametrize(
    ("user", "counted"),
    [
        (None, "unknown"),
        (held(province="100"), "unknown"),
        (held(is_busy=True), "busy"),
        (held(version=6), "outdated"),
        (held(version=5, reasons={Reason.ARREARS: TWO}), "equal"),
        (held(reasons={Reason.ARREARS: TWO, Reason.FRAUD: TWO}), "equal"),
        (held(), "different"),
        (held(reasons={Reason.ARREARS: ONE}), "different"),
        (held(reasons={Reason.ARREARS: TWO, Reason.VOLUNTARY: TWO}), "different"),
    ],
)
def test_each_user_is_counted_once(user: Held | None, counted: str) -> None:
    found = Comparison("200", Master.BOSS)

    shown = found.count(a_word(), user)

    counts = ("unknown", "busy", "outdated", "equal", "different")
    assert [name for name in counts if getattr(found, name)] == [counted]
    assert (shown is not None) == (counted == "different")


def test_under_backup_the_state_is_that_of_boss() -> None:
    lost = {Reason.LOST: TWO}  # which CRM may clear, and BOSS may not
    empty = a_word(reasons=[])

    assert Comparison("200", Master.BACKUP).count(empty, held(reasons=lost)) is None
    assert Comparison("200", Master.CRM).count(empty, held(reasons=lost)) is not None
