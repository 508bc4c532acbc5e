"""Rights are given to roles, roles to people; what nobody gave is refused."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hlrd.domain.audit import Action
from hlrd.domain.rights import READ, RIGHTS, RolesInvalid, role_table

ROLES = {"watch": ["read"], "desk": ["fallout.*", "read"], "chief": ["*"]}

names = st.sampled_from(["anna", "bert", "carl", "dora"])
patterns = st.sampled_from(
    [*sorted(RIGHTS), "*", *sorted({right.split(".")[0] + "*" for right in RIGHTS})]
)
roles = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.lists(patterns, max_size=4), min_size=1
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    given_roles = draw(roles)
    people = draw(st.dictionaries(names, st.lists(st.sampled_from(sorted(given_roles)))))
    return given_roles, people


@given(tables(), names, st.sampled_from(sorted(RIGHTS)))
def test_one_may_exactly_what_a_pattern_of_a_role_of_his_fits(
    table: tuple[dict[str, list[str]], dict[str, list[str]]], person: str, right: str
) -> None:
    given_roles, people = table

    may = role_table(given_roles, people).may(person, right)

    fits = [
        pattern
        for role in people.get(person, [])
        for pattern in given_roles[role]
        if fnmatchcase(right, pattern)
    ]
    assert may == bool(fits)


@given(tables(), names, st.sampled_from(["a", "b", "c"]))
def test_another_role_takes_no_right_away(
    table: tuple[dict[str, list[str]], dict[str, list[str]]], person: str, role: str
) -> None:
    given_roles, people = table
    assume(role in given_roles)
    more = {**people, person: [*people.get(person, []), role]}

    before, after = role_table(given_roles, people), role_table(given_roles, more)

    assert before.rights_of(person) <= after.rights_of(person)


@given(st.text(min_size=1, max_size=20))
def test_who_is_not_among_the_people_may_nothing(person: str) -> None:
    table = role_table(ROLES, {})

    assert not any(table.may(person, right) for right in RIGHTS)


def test_a_person_is_told_by_every_letter() -> None:
    table = role_table(ROLES, {"anna": ["chief"]})

    assert table.may("anna", READ)
    assert not table.may("Anna", READ)


@given(st.text(max_size=30).filter(lambda right: right not in RIGHTS))
def test_what_is_no_right_is_given_to_nobody_by_any_pattern(right: str) -> None:
    assert not role_table(ROLES, {"anna": ["chief"]}).may("anna", right)


def test_a_star_does_not_reach_what_no_person_does() -> None:
    chief = role_table(ROLES, {"anna": ["chief"]}).rights_of("anna")

    assert chief == RIGHTS
    assert {*map(str, Action)} - chief == {
        *("master.switch", "settings.reload", "session.open", "session.refuse", "account.lock"),
    }


@pytest.mark.parametrize(
    ("roles", "people", "named"),
    [
        ({"desk": ["falout.*"]}, {}, "roles.desk: 'falout.\\*' fits no right"),
        ({"desk": ["fallout.Resend"]}, {}, "fits no right"),
        ({"desk": ["master.switch"]}, {}, "fits no right"),
        ({"desk": ["read"]}, {"anna": ["dusk"]}, "people.anna: there is no role 'dusk'"),
    ],
)
def test_a_misspelt_line_is_refused_by_name(
    roles: dict[str, list[str]], people: dict[str, list[str]], named: str
) -> None:
    with pytest.raises(RolesInvalid, match=named):
        role_table(roles, people)
