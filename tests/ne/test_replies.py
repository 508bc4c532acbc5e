"""The table of replies: which row holds, and which files are refused with the place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.operation import Operation
from hlrd.domain.outcome import Verdict
from hlrd.ne.replies import UNKNOWN, Asked, Replies, RepliesError, Row, read

ADD, REMOVE = Operation.ADD_KEY, Operation.REMOVE_KEY
COMMAND, READ_BACK, LOGIN = Asked.COMMAND, Asked.READ_BACK, Asked.LOGIN
BUSY, PERMANENT, EXISTS = Verdict.BUSY, Verdict.PERMANENT, Verdict.EXISTS


def means(replies: Replies, code: str, text: str = "", *, asked: Asked = COMMAND) -> Verdict:
    return replies.ruling(asked, None if asked is LOGIN else ADD, code, text).verdict


def test_the_more_particular_row_holds_whatever_their_order() -> None:
    rows = [
        Row(EXISTS, code="6", operations=(ADD,), asked=COMMAND),
        Row(PERMANENT, code="6"),
        Row(BUSY, code="6", operations=(ADD,)),
    ]
    for table in (rows, rows[::-1]):
        replies = Replies(table)

        assert means(replies, "6") is EXISTS
        assert means(replies, "6", asked=READ_BACK) is BUSY
        assert replies.ruling(COMMAND, REMOVE, "6").verdict is PERMANENT


def test_a_sites_row_holds_before_the_shipped_one_of_the_same_reply() -> None:
    replies = Replies([Row(PERMANENT, code="6", operations=(ADD,))], [Row(BUSY, code="6")])

    assert means(replies, "6") is BUSY


def test_a_pattern_is_searched_in_code_and_text_when_no_code_fits() -> None:
    exact = Row(BUSY, code="7")
    pattern = Row(EXISTS, pattern="already exists", example=" Subscriber already exists.")
    replies = Replies([exact, pattern])

    assert means(replies, "", "Subscriber already exists.") is EXISTS
    assert means(replies, "7", "it already exists") is BUSY
    assert replies.ruling(COMMAND, ADD, "", "fine") == UNKNOWN


def test_a_row_that_says_nothing_of_logins_is_not_about_logins() -> None:
    replies = Replies([Row(BUSY, code="1"), Row(PERMANENT, code="1", asked=LOGIN)])

    assert means(replies, "1") is BUSY
    assert means(replies, "1", asked=LOGIN) is PERMANENT
    assert "1" in replies.codes(LOGIN)


@given(st.text(), st.text(), st.sampled_from(Asked))
def test_what_no_row_covers_is_permanent_and_unknown(code: str, text: str, asked: Asked) -> None:
    ruling = Replies([]).ruling(asked, None, code, text)

    assert (ruling.verdict, ruling.is_known) == (PERMANENT, False)


def test_a_code_ruled_for_another_operation_is_told_from_one_of_no_table() -> None:
    replies = Replies([Row(EXISTS, code="6", operations=(REMOVE,))])

    ruling = replies.ruling(COMMAND, ADD, "6")

    assert not ruling.is_known
    assert "another operation" in ruling.text


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("[[reply]", "site.toml"),
        ("reply = 3", "site.toml"),
        ('[[reply]]\nmeans = "fine"\ncode = "1"', "means"),
        ('[[reply]]\nmeans = "busy"', "either code or pattern"),
        ('[[reply]]\nmeans = "busy"\ncode = "1"\npattern = "x"', "either code or pattern"),
        ('[[reply]]\nmeans = "busy"\ncode = "1"\nwhen = "now"', "when"),
        ('[[reply]]\nmeans = "busy"\ncode = "1"\noperations = ["fly"]', "operations"),
        ('[[reply]]\nmeans = "busy"\npattern = "("\nexample = "x"', "pattern"),
        ('[[reply]]\nmeans = "busy"\npattern = "x"\nexample = "y"', "example"),
        ('[[reply]]\nmeans = "followUp"\ncode = "1"', "needs then"),
        ('[[reply]]\nmeans = "busy"\ncode = "1"\nthen = "addKey"', "takes no then"),
        ('[[reply]]\nmeans = "notSent"\ncode = "1"', "no reply means"),
        ('[[reply]]\nmeans = "exists"\ncode = "1"\nasked = "login"', "a login"),
        ('[[reply]]\nmeans = "busy"\ncode = "1"\n[[reply]]\nmeans = "done"\ncode = "1"', "reply 2"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_file_and_place(document: str, told: str) -> None:
    with pytest.raises(RepliesError) as refused:
        read(document, "site.toml")

    assert "site.toml" in str(refused.value)
    assert told in str(refused.value)
