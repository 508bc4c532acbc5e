"""The sequence of a story, from what every system noted."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.business.message import Message, Party
from loadtest.business.northbound import KEEP, ORDER, RECEIPT, TAKEN
from loadtest.flow.sequence import fold, gist, labels, merge, participants, settled
from loadtest.flow.site import ANSWER, REQUEST

LEGS = (frozenset({"hub", "left"}), frozenset({"hub", "right"}))
NAMED = (frozenset({"问"}), frozenset({"答", "hub db 改"}))


def said(at: float, sender: str, receiver: str, name: str = "请求", detail: str = "") -> Message:
    return Message(at, sender, receiver, name, detail)


@given(st.lists(st.floats(0, 100), max_size=20), st.integers(0, 20))
def test_what_several_systems_noted_is_in_the_order_of_time(times: list[float], cut: int) -> None:
    messages = [said(at, "a", "b") for at in times]

    merged = merge([*messages[cut:], *messages[:cut]])

    assert [each.at for each in merged] == sorted(times)


def test_what_keeps_a_channel_is_no_part_of_a_story() -> None:
    assert merge([said(1, "a", "b", KEEP), said(2, "a", "b", ORDER)]) == [said(2, "a", "b", ORDER)]


@given(st.permutations(["left", "left", "right", "right"]))
def test_legs_that_run_side_by_side_are_drawn_in_one_order(order: list[str]) -> None:
    messages = [said(place, "hub", side, detail=side) for place, side in enumerate(order)]

    drawn = [each.detail for each in settled(messages, LEGS)]

    assert drawn == ["left", "left", "right", "right"]


@given(st.permutations(range(4)))
def test_the_messages_of_one_leg_stay_in_their_order(order: list[int]) -> None:
    messages = [said(place, "hub", "left", detail=str(n)) for place, n in enumerate(order)]

    assert settled(messages, LEGS) == messages


def test_legs_do_not_pass_what_is_on_neither() -> None:
    messages = [said(1, "hub", "right"), said(2, "hub", "other"), said(3, "hub", "left")]

    assert settled(messages, LEGS) == messages


def test_a_leg_may_be_told_by_names_and_by_what_is_done_at_a_database() -> None:
    answer = said(1, "a", "b", "答")
    access = said(2, "hub", "hub db", "访问", "改 1001")
    question = said(3, "b", "a", "问")

    assert settled([answer, access, question], NAMED) == [question, answer, access]


def test_the_closing_of_an_order_waits_for_every_leg() -> None:
    closing = said(1, "hub", "left", "访问", "订单关闭 A-1001")
    other = said(2, "hub", "right")

    assert settled([closing, other], LEGS[::-1]) == [closing, other]


def test_the_word_that_an_order_was_taken_stands_behind_the_order() -> None:
    asked = said(1, Party.CRM, Party.HLRD, ORDER)
    command = said(2, Party.HLRD, Party.HLR, REQUEST)
    done = said(3, Party.HLR, Party.HLRD, ANSWER)
    taken = said(4, Party.HLRD, Party.CRM, TAKEN)
    receipt = said(5, Party.HLRD, Party.CRM, RECEIPT)

    drawn = settled([asked, command, done, taken, receipt], ())

    assert drawn == [asked, taken, command, done, receipt]


@given(st.integers(1, 30), st.integers(1, 4))
def test_a_block_that_comes_again_and_again_is_drawn_once(times: int, length: int) -> None:
    block = [said(0, "a", f"b{number}") for number in range(length)]

    steps = fold(block * times)

    assert [step.message for step in steps] == block
    assert {step.times for step in steps} == {times}


@given(st.lists(st.sampled_from(["x", "y"]), max_size=24))
def test_folding_loses_no_message(names: list[str]) -> None:
    messages = [said(0, "a", "b", name) for name in names]

    steps = fold(messages)

    assert sum(step.times for step in steps) == len(messages)
    assert {step.message.name for step in steps} == set(names)


def test_ids_do_not_keep_two_messages_apart() -> None:
    first = said(1, "a", "b", detail="USER_OPEN CRM-000123")
    second = said(2, "a", "b", detail="USER_OPEN CRM-000124")

    (step,) = fold([first, second])

    assert (step.times, step.label) == (2, "请求 USER_OPEN …")


def test_a_detail_without_its_ids_is_the_same_in_every_run() -> None:
    assert gist('ADD TPLSUB:HLRSN=1,IMSI="460990100000001",ISDN="861064901000001"') == "ADD TPLSUB"
    assert gist("OPEN 1064901010777 VIDEO01 86106490101") == "OPEN … VIDEO01 …"
    assert gist('PUT /users/1064901010777/VIDEO k-2f2312 {"a": 1}') == "PUT /users/…/VIDEO …"
    assert gist("创建产品 1 VIDEO0017") == "创建产品 …"
    assert gist("认证通过 crm-1-2") == "认证通过 …"
    assert gist("3012") == "3012"
    assert gist("MEMBER_OPEN R-bf5dddd34dfb9c0a7c59-0 queued") == "MEMBER_OPEN … queued"


def test_how_often_it_was_asked_whether_a_change_has_ended_is_not_told() -> None:
    def asked(at: float) -> list[Message]:
        poll = said(at, "hlrd", "platform", REQUEST, "GET /users/1")
        return [poll, said(at, "platform", "hlrd", ANSWER, "FOUND")]

    told = said(2, "platform", "gateway")

    assert merge([*asked(1), told, *asked(3), *asked(4)]) == [told, *asked(4)]


def test_that_an_order_was_taken_is_told_before_what_goes_up_by_the_relays() -> None:
    order = said(1, "ESOP", "hlrd", ORDER)
    up = said(2, "hlrd", Party.BBOSS, "上报")
    taken = said(3, "hlrd", "ESOP", TAKEN)

    assert settled([order, up, taken], ()) == [order, taken, up]
    assert settled([order, taken, up], ()) == [order, taken, up]


def test_participants_stand_from_the_person_that_asks_to_the_network() -> None:
    messages = [said(1, Party.HLRD, Party.HLR), said(2, Party.CRM, Party.HLRD)]
    messages.append(said(3, Party.ESOP.of("280"), Party.ESOP.of("200")))

    names = participants(messages)

    assert names == [Party.CRM, "ESOP 200", "ESOP 280", Party.HLRD, Party.HLR]


def test_two_runs_of_a_story_have_the_same_labels() -> None:
    one = fold([said(1.0, "a", "b", detail="ORDER A-1000001")])
    other = fold([said(7.0, "a", "b", detail="ORDER A-1000999")])

    assert labels(one) == labels(other)
