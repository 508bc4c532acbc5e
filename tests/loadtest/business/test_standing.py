"""Who decides of a user's state, who orders of the network, and what a version is worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.business.paper import Kind, To
from loadtest.business.standing import ACTS, Change, Master, Reason, Sends, Side, Standing, scheme

changes = st.builds(Change, st.sampled_from(Reason), st.integers(0, 2))


@given(made=st.lists(changes))
def test_the_master_counts_every_change_and_clears_one_reason_at_a_time(
    made: list[Change],
) -> None:
    standing, expected = Standing(), dict[str, int]()

    for change in made:
        standing.decide(change)
        expected.pop(change.reason, None)
        if change.level:
            expected[change.reason] = change.level

    assert standing.state_version == len(made)
    assert standing.reasons == expected
    assert standing.level == max(expected.values(), default=0)
    assert bool(standing.cause) == bool(expected)


@given(made=st.lists(changes, min_size=1), data=st.data())
def test_a_copy_ends_as_the_master_in_whatever_order_its_words_come(
    made: list[Change], data: st.DataObject
) -> None:
    master, words = Standing(), list[Standing]()
    for change in made:
        master.decide(change)
        words.append(Standing(dict(master.reasons), master.state_version, master.cause))
    other = Standing()

    for word in data.draw(st.permutations(words)):
        other.copy(word)

    assert other == master


def test_the_masters_word_names_every_reason_and_its_version() -> None:
    standing = Standing()
    standing.decide(Change(Reason.ARREARS, 2))
    standing.decide(Change(Reason.VOLUNTARY, 1, "customer away"))

    assert standing.cause == "customer away"
    assert standing.word() == {
        "state_version": 2,
        "reasons": [
            {"reason": "ARREARS", "level": 2},
            {"reason": "VOLUNTARY", "level": 1},
        ],
    }


def test_every_change_is_a_kind_of_order() -> None:
    kinds = {Change(reason, level).act for reason in Reason for level in (0, 1, 2)}

    assert kinds == set(ACTS.values())
    assert Change(Reason.ARREARS, 0).act == "PAYMENT_RESUME"
    assert Change(Reason.VOLUNTARY, 2).act == "VOLUNTARY_SUSPEND"


STATE_TO_BOSS = (Kind.STATE, To.BOSS)
STATE_TO_CRM = (Kind.STATE, To.CRM)
NETWORK = (Kind.PROVISIONING, To.HLRD)
BY_BOSS = (Kind.PROVISIONING, To.BOSS)


@pytest.mark.parametrize(
    ("master", "sends", "decides", "of_crm", "of_boss"),
    [
        (
            Master.BOSS,
            Sends.BOSS,
            Side.BOSS,
            (STATE_TO_BOSS, BY_BOSS),
            (NETWORK, STATE_TO_CRM),
        ),
        (Master.CRM, Sends.BOSS, Side.CRM, (STATE_TO_BOSS, NETWORK), ()),
        (
            Master.BACKUP,
            Sends.BOSS,
            Side.BOSS,
            (STATE_TO_BOSS, BY_BOSS),
            (NETWORK, STATE_TO_CRM),
        ),
        (Master.BACKUP, Sends.CRM, Side.BOSS, (STATE_TO_BOSS, NETWORK), (STATE_TO_CRM,)),
        (
            Master.BACKUP,
            Sends.BOTH,
            Side.BOSS,
            (STATE_TO_BOSS, NETWORK),
            (NETWORK, STATE_TO_CRM),
        ),
    ],
)
def test_each_scheme_decomposes_a_change_as_its_slide_draws_it(
    master: Master,
    sends: Sends,
    decides: Side,
    of_crm: tuple[tuple[Kind, To], ...],
    of_boss: tuple[tuple[Kind, To], ...],
) -> None:
    rules = scheme(master, sends)

    assert rules.decides is decides
    assert rules.of_crm() == of_crm
    assert rules.of_boss(is_asked_by_crm=False) == of_boss


@pytest.mark.parametrize("master", Master)
@pytest.mark.parametrize("sends", Sends)
def test_some_side_orders_of_the_network_and_both_only_as_a_backup(
    master: Master, sends: Sends
) -> None:
    rules = scheme(master, sends)

    assert rules.sends
    assert (len(rules.sends) == 2) == (master is Master.BACKUP and sends is Sends.BOTH)
    asked_by_crm = rules.of_boss(is_asked_by_crm=True)
    assert (NETWORK in asked_by_crm) == (Side.BOSS in rules.sends)
    assert STATE_TO_CRM not in asked_by_crm
