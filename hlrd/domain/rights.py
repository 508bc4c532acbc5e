"""What operators may do: rights are given to roles, and roles to people.

A right is the value of an `Action`: whoever may do it may ask for it. Beside those stands the right
to look. What is not given is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from hlrd.domain.audit import Action
from hlrd.domain.errors import HlrdError

READ: Final = "read"
"""All that is shown, to whoever has an operator's token."""

_OF_NOBODY: Final = frozenset(
    {
        Action.MASTER_SWITCH,
        Action.SETTINGS_RELOAD,
        Action.SESSION_OPEN,
        Action.SESSION_REFUSE,
        Action.ACCOUNT_LOCK,
    }
)
"""What the daemon does on its own, or source systems by their logins."""

RIGHTS: Final = frozenset({READ, *(str(act) for act in Action if act not in _OF_NOBODY)})
"""Every right that an operator can be asked for."""


class RolesInvalid(HlrdError):
    """The roles contradict themselves; the text says which line of them does."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A person, as a token of his own says that he is."""

    name: str  #: what orders and acts have as operator_id


@dataclass(frozen=True, slots=True)
class RoleTable:
    """Who has which roles, and what they allow."""

    rights_of_role: Mapping[str, frozenset[str]]
    roles_of_person: Mapping[str, frozenset[str]]

    def may(self, operator: str, right: str) -> bool:
        roles = self.roles_of_person.get(operator, frozenset())
        return any(right in self.rights_of_role[role] for role in roles)

    def rights_of(self, operator: str) -> frozenset[str]:
        roles = self.roles_of_person.get(operator, frozenset())
        return frozenset().union(*(self.rights_of_role[role] for role in roles))


def role_table(
    roles: Mapping[str, Iterable[str]], people: Mapping[str, Iterable[str]]
) -> RoleTable:
    """`roles`: patterns with * by role; `people`: roles by operator. A pattern that fits no right
    and a role that there is not are refused, so that a misspelt line does not pass unseen.
    """
    rights_of_role = {
        role: frozenset().union(*(_fitting(pattern, role) for pattern in patterns))
        for role, patterns in roles.items()
    }
    for person, named in people.items():
        for role in named:
            if role not in rights_of_role:
                raise RolesInvalid(f"people.{person}: there is no role {role!r}")
    return RoleTable(rights_of_role, {person: frozenset(named) for person, named in people.items()})


def _fitting(pattern: str, role: str) -> frozenset[str]:
    fitting = frozenset(right for right in RIGHTS if fnmatchcase(right, pattern))
    if not fitting:
        raise RolesInvalid(f"roles.{role}: {pattern!r} fits no right (docs/operators.md)")
    return fitting
