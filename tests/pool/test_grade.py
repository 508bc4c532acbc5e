"""Grades: what a pattern stands for, and that numbers are found by grade without being listed."""

import re
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hlrd.config import _usual_grades
from hlrd.pool.grade import Grades, Rule

tails = st.from_regex(r"\A[0189ABC?][0189ABC?+-]{0,3}\Z")
USUAL = [Rule(rule.grade, rule.tail) for rule in _usual_grades()]


def means(tail: str, digits: str) -> bool:
    """The pattern by its definition, digit by digit."""
    letters: dict[str, str] = {}
    for place, (sign, digit) in enumerate(zip(tail, digits, strict=True)):
        if sign.isdigit() and sign != digit:
            return False
        if sign in "+-" and int(digit) - int(digits[place - 1]) != (1 if sign == "+" else -1):
            return False
        if sign.isalpha() and letters.setdefault(sign, digit) != digit:
            return False
    return len(set(letters.values())) == len(letters)


@settings(max_examples=60, deadline=None)
@given(st.lists(tails, max_size=4), st.integers(0, 10**13 - 1))
def test_the_first_rule_that_matches_gives_the_grade(patterns: list[str], number: int) -> None:
    grades = Grades(Rule(f"g{place}", tail) for place, tail in enumerate(patterns))
    digits = f"{number:013}"

    wanted = next(
        (f"g{place}" for place, tail in enumerate(patterns) if means(tail, digits[-len(tail) :])),
        None,
    )

    assert grades.of(number) == wanted
    assert grades.graded([number]) == ([number] if wanted else [])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(tails, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000)), max_size=3),
)
def test_the_candidates_are_the_numbers_of_the_grade_each_once(
    patterns: list[str], sizes: list[tuple[int, int]]
) -> None:
    grades = Grades(Rule("g", tail) for tail in patterns)
    spans, at = [], 1064900000000
    for gap, size in sizes:
        spans.append((at + gap, at + gap + size))
        at += gap + size + 1

    found = list(grades.candidates("g", spans))

    assert found == [n for first, last in spans for n in range(first, last + 1) if grades.of(n)]


def test_candidates_of_a_huge_range_are_counted_and_not_listed() -> None:
    grades = Grades(USUAL)

    found = grades.candidates("AAAAA", [(1064000000000, 1064999999999)])

    assert len(found) == 10**9 // 10**4
    assert all(re.search(r"(\d)\1{4}$", str(found[n])) for n in (0, 7_777, len(found) - 1))


def test_the_usual_rules_grade_little_of_a_range() -> None:
    grades = Grades(USUAL)

    shares = Counter(grades.of(number) for number in range(100_000))

    assert shares == {None: 98_860, "AAA": 900, "AAAA": 90, "AAAAA": 10, "ABCD": 70, "DCBA": 70}


def test_without_rules_no_number_has_a_grade() -> None:
    assert Grades().graded(range(1_000)) == []
    assert Grades().of(888) is None
