"""The SOAP dialect of HLRs and HSSs, both sides: MML commands in envelopes, over HTTP.

`MOD LCK:IMSI="…",OC=TRUE;` is the element MOD_LCK with the children IMSI and OC, and its answer

    MOD_LCKResponse / Result / ResultCode, ResultDesc, ResultData

where ResultData has values, and Groups of values in Groups. What is read comes out as if it had
been MML: it means the same.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from lxml import etree

from hlrd.codec import mml, soap
from hlrd.codec.mml import MMLCommand, MMLReply
from hlrd.codec.soap import Template
from hlrd.domain.errors import ProtocolError

NAMESPACE: Final = "http://www.chinamobile.com/HSS/"
LOGIN_NAMESPACE: Final = "http://www.huawei.com/HLR9820/LGI"
LOGIN: Final = "LGI"

_NAMESPACES: Final = (f"{{{NAMESPACE}}}", f"{{{LOGIN_NAMESPACE}}}")
_RESPONSE: Final = "Response"
_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})
_NO_TEXT: Final[Mapping[str, str]] = MappingProxyType({})
_CODE: Final = re.compile(r"[0-9]{1,10}\Z|\[[0-9, ]{1,200}\]\Z")
_NUMBER: Final = re.compile("[0-9]{1,10}")
_STATUS: Final = re.compile(r"((?:SUCCESS|ERR)[0-9]{1,10})\s*:?\s*(.*)\Z", re.DOTALL)
_NAME: Final = re.compile(r"[A-Z]{1,16}(?:_[A-Z][A-Z0-9_]{0,31})?\Z")
_BATCH: Final = "BAT_"


@dataclass(slots=True)
class HSSReply:
    name: str  #: the command's, as MOD_LCK; soap.FAULT for a fault
    said: MMLReply  #: of a fault: its code as `status`, and its text


@dataclass(slots=True)
class HSSRequest:
    command: MMLCommand  #: without a name where MML has no such command
    name: str  #: as it was asked: MOD_LCK
    user: str
    password: str = field(repr=False)


def request(command: MMLCommand, credentials: Mapping[str, str] = _NOBODY) -> bytes:
    """The envelope of a command. Values are escaped; `credentials` stand in the header."""
    form = _form(command.name, tuple(command.params), tuple(credentials))
    return form.fill((*credentials.values(), *command.params.values()))


@lru_cache(maxsize=256)
def _form(name: str, params: tuple[str, ...], credentials: tuple[str, ...]) -> Template:
    namespace = LOGIN_NAMESPACE if name == LOGIN else NAMESPACE
    return Template(
        element(name),
        namespace,
        fields=dict.fromkeys(params),
        header=dict.fromkeys(credentials),
    )


def element(name: str) -> str:
    """Of a command: MOD LCK is MOD_LCK."""
    return name.replace(" ", "_")


def _command_name(name: str) -> str:
    """Only the blanks come back: MOD_GPRS_CONTEXT is MOD GPRS_CONTEXT."""
    return name.replace("_", " ", 2 if name.startswith(_BATCH) else 1)


def read(body: bytes) -> HSSReply:
    """The reply to a command, or a fault. Raises ProtocolError for anything else."""
    content = soap.content_of(body)
    name = _local(content)
    if name == soap.FAULT:
        return HSSReply(name, _fault(content))
    if not name.endswith(_RESPONSE):
        raise ProtocolError("SOAP, but not a response of an HSS")
    result = _child(content, "Result")
    code = _text(_child(result, "ResultCode"))
    if not _CODE.match(code):
        raise ProtocolError("a response of an HSS without a ResultCode")
    data = [part for part in result if _local(part) == "ResultData"]
    said = _reply(code, _described(result), _body(data[0]) if data else b"")
    return HSSReply(name.removesuffix(_RESPONSE), said)


def _reply(code: str, described: str, body: bytes) -> MMLReply:
    codes = tuple(dict.fromkeys(int(number) for number in _NUMBER.findall(code)))
    if not codes:
        raise ProtocolError("a response of an HSS with an empty list of result codes")
    status = _STATUS.match(described)
    shown, text = status.groups() if status else ("", described)
    return MMLReply(b"", codes, shown, text, body)


def _described(result: etree._Element) -> str:
    return next((_text(part) for part in result if _local(part) == "ResultDesc"), "")


def _body(data: etree._Element) -> bytes:
    """The values of each element that has some, as an MML reply shows a record."""
    lines: list[str] = []
    for group in data.iter():
        values = {_local(part): _text(part) for part in reversed(group) if not len(part)}
        if values:
            lines += [_RULE, *mml.lines([values])]
    return "\n".join([*lines, ""]).encode()


_RULE: Final = "-" * 24


def _fault(content: etree._Element) -> MMLReply:
    """The qualified name of its code loses its prefix."""
    told = {part.tag: _text(part) for part in content}
    code = told.get("faultcode", "")[:64].rpartition(":")[2]
    return MMLReply(b"", (), code, told.get("faultstring", ""))


def _child(parent: etree._Element, name: str) -> etree._Element:
    for part in parent:
        if _local(part) == name:
            return part
    raise ProtocolError(f"a response of an HSS without {name}")


def _text(part: etree._Element) -> str:
    """On one line: what it says may not look like a line of its own."""
    return " ".join((part.text or "").split())


def _local(part: etree._Element) -> str:
    """Peers put their elements into the dialect's namespace or into none."""
    tag = part.tag
    if tag[0] != "{":
        return tag
    namespace, _, name = tag.rpartition("}")
    if f"{namespace}}}" not in _NAMESPACES and namespace[1:] != soap.ENVELOPE:
        raise ProtocolError("a SOAP message with an element of a foreign namespace")
    return name


def read_request(body: bytes) -> HSSRequest:
    """The server's. Raises ProtocolError for what is no request at all."""
    told: dict[str, str] = {}
    content = soap.content_of(
        body, lambda header: told.update((_local(part), _text(part)) for part in header)
    )
    name = _local(content)
    if not _NAME.match(name):
        raise ProtocolError("SOAP, but not a request to an HSS")
    params = {_local(part): _text(part) for part in content}
    command = mml.parse_command(mml.written(_command_name(name), params).encode())
    if command.params != params:  # a value that MML cannot carry, or a name twice
        command = MMLCommand("", {}, b"")
    return HSSRequest(command, name, told.get("UserName", ""), told.get("PassWord", ""))


def answer(
    name: str,
    code: str,
    text: str,
    records: Sequence[Mapping[str, str]] = (),
    *,
    session: str = "",
) -> bytes:
    """The reply to the command `name`. The first record stands alone, others in Groups."""
    namespace = LOGIN_NAMESPACE if name == LOGIN else NAMESPACE
    header = f"<header><sessionID>{session}</sessionID></header>" if session else ""
    first, *others = records or [_NO_TEXT]
    groups = "".join(f"<Group>{_values(record)}</Group>" for record in others)
    data = f"<ResultData>{_values(first)}{groups}</ResultData>" if records else ""
    result = (
        f"<Result><ResultCode>{code}</ResultCode>"
        f"<ResultDesc>{soap.escape(text)}</ResultDesc>{data}</Result>"
    )
    return _enveloped(
        header, f'<{name}{_RESPONSE} xmlns="{namespace}">{result}</{name}{_RESPONSE}>'
    )


def fault(code: str, text: str) -> bytes:
    told = f"<faultcode>SOAP-ENV:{code}</faultcode><faultstring>{soap.escape(text)}</faultstring>"
    return _enveloped("", f"<SOAP-ENV:Fault>{told}</SOAP-ENV:Fault>")


def _enveloped(header: str, content: str) -> bytes:
    above = f"<SOAP-ENV:Header>{header}</SOAP-ENV:Header>" if header else ""
    return (
        f'<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="{soap.ENVELOPE}">{above}'
        f"<SOAP-ENV:Body>{content}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def _values(record: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{soap.escape(value)}</{name}>" for name, value in record.items())
