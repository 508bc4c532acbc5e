"""What relays and registry call the messages that they send and get: as the seeds do."""

from typing import Final

from loadtest.business.message import Messages, Party
from loadtest.relay import resources
from loadtest.relay.core import Role

PARTIES: Final = {
    Role.BBOSS: Party.BBOSS,
    Role.BOSS1: Party.BOSS1,
    Role.PBOSS: Party.PBOSS,
    Role.PARTNER: Party.ESOP,
}

PUBLISH: Final = "发布到配合省"

_ASKED: Final = {
    "SUBSCRIBE": "产品订购信息",
    "UNSUBSCRIBE": "产品退订信息",
    "REPORT": "成员数据上报 (MSISDN、IMSI、KI)",
    "CANCEL": "成员退出信息",
    "SUBSCRIBE_MEMBER": "成员订购信息",
    "UNSUBSCRIBE_MEMBER": "成员退订信息",
}
_PASSED_ON: Final = {
    **_ASKED,
    "SUBSCRIBE": "EC和产品订购信息同步",
    "UNSUBSCRIBE": "EC和产品退订信息同步",
}
_ANSWERED: Final = {
    "SUBSCRIBE": "产品订购反馈",
    "UNSUBSCRIBE": "产品退订反馈",
    "REPORT": "成员开通反馈",
    "CANCEL": "成员退出反馈",
    "SUBSCRIBE_MEMBER": "成员订购反馈",
    "UNSUBSCRIBE_MEMBER": "成员退订反馈",
}


class Notes:
    """Of one system: `party`."""

    def __init__(self, messages: Messages, party: str, caller: str) -> None:
        """`caller`: who asks it, if that notes nothing itself; may name `{province}`."""
        self._messages = messages
        self._party = party
        self._caller = caller

    def asked(self, command: str, resource: str, province: str) -> None:
        if self._caller:
            caller = self._called(province)
            self._messages.note(caller, self._party, _ASKED[command], _shown(command, resource))

    def answered(self, command: str, resource: str, province: str, code: str) -> None:
        if self._caller:
            self._answer(self._party, self._called(province), command, resource, code)

    def passed_on(self, command: str, resource: str, hop: str) -> None:
        self._messages.note(self._party, hop, _PASSED_ON[command], _shown(command, resource))

    def fed_back(self, command: str, resource: str, hop: str, code: str) -> None:
        self._answer(hop, self._party, command, resource, code)

    def published(self, resource: str, partner: str, code: str = "") -> None:
        """Without a code: it is sent."""
        sides = (partner, self._party) if code else (self._party, partner)
        detail = f"{resource} {code}".rstrip()
        self._messages.note(*sides, PUBLISH, detail, is_answer=bool(code))

    def _answer(self, by: str, to: str, command: str, resource: str, code: str) -> None:
        detail = f"{_shown(command, resource)} {code}"
        self._messages.note(by, to, _ANSWERED[command], detail, is_answer=True)

    def _called(self, province: str) -> str:
        return self._caller.replace("{province}", province).rstrip()


def command_of(resource: str, *, is_leaving: bool) -> str:
    place = resources.place_of(resource)
    assert place is not None, resource
    commands = place.kind.commands
    return commands["DELETE" if is_leaving else "PUT"]


def _shown(command: str, resource: str) -> str:
    return f"{command} {resource}"
