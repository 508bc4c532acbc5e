"""The proof must fail for every single thing that can be wrong; one that cannot proves nothing."""

from dataclasses import replace

import pytest

from loadtest.proof import Bound, Check, Evidence, prove

ORDERS = ("a", "b", "c")


def evidence_that_holds() -> Evidence:
    bound = [
        Bound(f"106490{n}000001", f"4609901000000{n:02d}", f"8986990{n}", hlr=f"hlr{n}")
        for n in (1, 2, 3)
    ]
    return Evidence(
        posted=ORDERS,
        accepted=frozenset(ORDERS),
        receipts={
            order: Bound(each.msisdn, each.imsi, each.iccid)
            for order, each in zip(ORDERS, bound, strict=True)
        },
        bindings=bound,
        subscribers=[replace(each, iccid="") for each in bound],
        keys=[each.imsi for each in bound],
        relations=[each.msisdn for each in bound],
        effects_repeated=[],
        number_home={each.msisdn: each.hlr for each in bound},
        card_home={each.iccid: each.hlr for each in bound},
        numbers={"idle": 6, "leased": 1, "inUse": 3},
        numbers_imported=10,
        cards={"inStock": 2, "leased": 0, "inUse": 3},
        cards_imported=5,
    )


def failed(evidence: Evidence) -> set[str]:
    return {check.what.strip() for check in prove(evidence) if not check.holds}


def test_the_proof_holds_when_all_parts_agree() -> None:
    assert failed(evidence_that_holds()) == set()


GOOD = evidence_that_holds()
FIRST, SECOND, _ = GOOD.bindings

WRONG: dict[str, tuple[Evidence, str]] = {
    "an order was posted and never answered": (
        replace(GOOD, posted=(*ORDERS, "d")),
        "orders accepted",
    ),
    "a receipt is missing": (
        replace(GOOD, receipts={order: GOOD.receipts[order] for order in "ab"}),
        "final receipts",
    ),
    "an order failed": (replace(GOOD, receipts={**GOOD.receipts, "c": None}), "of them succeeded"),
    "a binding is missing": (
        replace(GOOD, bindings=GOOD.bindings[1:]),
        "bindings in the journal",
    ),
    "an HLR has no record": (
        replace(GOOD, subscribers=GOOD.subscribers[1:]),
        "subscribers on the HLRs",
    ),
    "an HLR has a record too many": (
        replace(GOOD, subscribers=[*GOOD.subscribers, Bound("1", "2", hlr="hlr1")]),
        "subscribers that the journal contradicts",
    ),
    "a key is left of a subscriber that is none": (
        replace(GOOD, keys=[*GOOD.keys, "460990"]),
        "card keys without their subscriber",
    ),
    "the DSMP has no relation": (
        replace(GOOD, relations=GOOD.relations[1:]),
        "relations without their user",
    ),
    "upstream was told another number": (
        replace(GOOD, receipts={**GOOD.receipts, "a": Bound("1", FIRST.imsi, FIRST.iccid)}),
        "receipts that the journal contradicts",
    ),
    "a number lives on a foreign HLR": (
        replace(GOOD, subscribers=[replace(FIRST, hlr="hlr4"), *GOOD.subscribers[1:]]),
        "numbers or cards away from home",
    ),
    "a card is of another HLR": (
        replace(GOOD, card_home={**GOOD.card_home, FIRST.iccid: "hlr4"}),
        "numbers or cards away from home",
    ),
    "two receipts show one number": (
        replace(
            GOOD,
            receipts={**GOOD.receipts, "b": replace(SECOND, msisdn=FIRST.msisdn, hlr="")},
        ),
        "numbers given twice",
    ),
    "two HLRs have one number": (
        replace(GOOD, subscribers=[*GOOD.subscribers, Bound(FIRST.msisdn, "460991", hlr="hlr2")]),
        "numbers given twice",
    ),
    "two receipts show one card": (
        replace(GOOD, receipts={**GOOD.receipts, "b": replace(SECOND, iccid=FIRST.iccid, hlr="")}),
        "cards given twice",
    ),
    "a command took effect twice": (
        replace(GOOD, effects_repeated=["hlr1: ADD KI 460990 x2"]),
        "commands that took effect twice",
    ),
    "a number is in no state": (
        replace(GOOD, numbers={**GOOD.numbers, "idle": 5}),
        "numbers leaked",
    ),
    "a number is in use and not bound": (
        replace(GOOD, numbers={"idle": 6, "inUse": 4}),
        "numbers leaked",
    ),
    "a card is in no state": (replace(GOOD, cards={**GOOD.cards, "inStock": 1}), "cards leaked"),
}


@pytest.mark.parametrize(("evidence", "check"), WRONG.values(), ids=WRONG.keys())
def test_the_proof_fails_when(evidence: Evidence, check: str) -> None:
    assert check in failed(evidence)


def test_a_failed_check_names_what_is_wrong() -> None:
    (check,) = [
        check
        for check in prove(replace(GOOD, posted=(*ORDERS, "lost-one")))
        if check.what == "orders accepted"
    ]

    assert check == Check("orders accepted", 3, 4, ["lost-one"])
