"""SOAP 1.1 envelopes as provisioning dialects use them: text below named elements.

A message is flat: the path of each element below the body's only child (`FeeUser_ID/MSISDN`) and
its text. Attributes are not looked at. A document type, and with it every entity, is refused.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple, cast

from lxml import etree

from hlrd import limits
from hlrd.codec.base import UnsafeValue
from hlrd.domain.errors import ProtocolError

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
FAULT: Final = "Fault"

DEPTH_MAX: Final = 4
"""Levels below the body's child. The dialects know two."""

FIELDS_MAX: Final = 256
"""Elements with text in one message. The longest known has 19."""

PLAIN_TEXT: Final = "[0-9A-Za-z._:/+=-]*"
"""A pattern of text that is the same in XML as out of it."""

_ENVELOPE: Final = f"{{{ENVELOPE}}}Envelope"
_HEADER: Final = f"{{{ENVELOPE}}}Header"
_BODY: Final = f"{{{ENVELOPE}}}Body"
_FAULT: Final = f"{{{ENVELOPE}}}Fault"
_PARSER: Final = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    huge_tree=False,
    load_dtd=False,
    remove_comments=True,
    remove_pis=True,
)

_HOLE: Final = "\ue000"
_PLAIN: Final = re.compile(rf"{PLAIN_TEXT}\Z")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Message(NamedTuple):
    name: str  #: of the body's only child; FAULT for a SOAP fault
    fields: Mapping[str, str]
    header: Mapping[str, str] = MappingProxyType({})


class Template:
    """An envelope that is always the same but for the text of some elements.

    lxml writes it once, so that a message costs no more than escaping and joining its values. An
    element whose text is None is filled per message.
    """

    def __init__(
        self,
        name: str,
        namespace: str,
        fields: Mapping[str, str | None],
        header: Mapping[str, str | None],
    ) -> None:
        holes = [*header.values(), *fields.values()].count(None)
        envelope = _envelope(name, namespace, fields, header)
        document = etree.tostring(envelope, encoding="utf-8", xml_declaration=True).decode()
        parts = document.split(_HOLE)
        if len(parts) != holes + 1:
            raise UnsafeValue(f"U+E000 in the text of {name}: it stands for what is filled in")
        self._form = "%s".join(part.replace("%", "%%") for part in parts)
        self._shape = re.compile(f"({PLAIN_TEXT})".join(map(re.escape, parts)).encode())

    def fill(self, values: tuple[str, ...]) -> bytes:
        """`values` in the order in which the elements were named, the header's first."""
        if not _PLAIN.match("".join(values)):
            values = tuple(map(escape, values))
        return (self._form % values).encode()

    def read(self, body: bytes) -> tuple[bytes, ...] | None:
        """The values of a message that this template wrote, many times faster than `parse`.

        None for any other message, also when a value in it had to be escaped.
        """
        found = self._shape.fullmatch(body)
        return found.groups() if found else None


def escape(text: str) -> str:
    """Fit to be an element's text, and read back as it was. Raises UnsafeValue if XML cannot."""
    if _PLAIN.match(text):
        return text
    if _NOT_XML.search(text):
        raise UnsafeValue("a character that no XML text can hold")
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("\r", "&#13;")  # a bare one would be read as a line feed


def parse(body: bytes, namespace: str) -> Message:
    """Elements may stand in `namespace` or in none, as peers do both. A fault is a Message too.

    Raises ProtocolError for anything else.
    """
    own = f"{{{namespace}}}"
    header: dict[str, str] = {}
    content = content_of(body, lambda part: _collect_header(part, own, header))
    if content.tag == _FAULT:
        return Message(FAULT, _fault(content), header)
    fields: dict[str, str] = {}
    _collect(content, "", own, fields, 1)
    return Message(_local(content.tag, own), fields, header)


def content_of(
    body: bytes, on_header: Callable[[etree._Element], None] = lambda header: None
) -> etree._Element:
    """The only element of the envelope's body. Raises ProtocolError."""
    contents: list[etree._Element] = []
    for part in _envelope_of(body):
        if part.tag == _BODY:
            contents += part
        elif part.tag == _HEADER:
            on_header(part)
    if len(contents) != 1:
        raise ProtocolError(f"a SOAP body with {len(contents)} elements instead of one")
    return contents[0]


def _envelope_of(body: bytes) -> etree._Element:
    if len(body) > limits.FRAME_BYTES_MAX:
        raise ProtocolError(f"a SOAP message above {limits.FRAME_BYTES_MAX} bytes")
    if b"<!DOCTYPE" in body:  # before libxml2 looks at a single entity
        raise ProtocolError("a SOAP message with a document type")
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise ProtocolError("not XML, where a SOAP message belongs") from error
    if root.getroottree().docinfo.internalDTD is not None:  # in UTF-16 it looks different
        raise ProtocolError("a SOAP message with a document type")
    if root.tag != _ENVELOPE:
        raise ProtocolError("XML, but not a SOAP 1.1 envelope")
    return root


def _collect(
    parent: etree._Element, prefix: str, own: str, into: dict[str, str], depth: int
) -> None:
    if depth > DEPTH_MAX:
        raise ProtocolError(f"a SOAP message deeper than {DEPTH_MAX} levels")
    for element in parent:
        path = prefix + _local(element.tag, own)
        if len(element):
            _collect(element, path + "/", own, into, depth + 1)
        elif path in into or len(into) == FIELDS_MAX:
            raise ProtocolError("a SOAP message that repeats an element, or has too many")
        else:
            into[path] = element.text or ""


def _collect_header(parent: etree._Element, own: str, into: dict[str, str]) -> None:
    """What other namespaces put into a header is for others."""
    for element in parent:
        tag = element.tag
        if tag.startswith(own) or tag[0] != "{":
            name = _local(tag, own)
            if name in into:
                raise ProtocolError("a SOAP header that repeats an element")
            into[name] = element.text or ""


def _fault(parent: etree._Element) -> dict[str, str]:
    """Its detail is in namespaces of its own, and nobody asks for it."""
    wanted = ("faultcode", "faultstring")
    return {element.tag: element.text or "" for element in parent if element.tag in wanted}


@lru_cache(maxsize=128)
def _local(tag: str, own: str) -> str:
    if tag.startswith(own):
        return tag[len(own) :]
    if tag[0] == "{":
        raise ProtocolError("a SOAP message with an element of a foreign namespace")
    return tag


def _envelope(
    name: str,
    namespace: str,
    fields: Mapping[str, str | None],
    header: Mapping[str, str | None],
) -> etree._Element:
    envelope = etree.Element(_ENVELOPE, nsmap={"soapenv": ENVELOPE})
    if header:
        _plant(etree.SubElement(envelope, _HEADER), namespace, header)
    body = etree.SubElement(envelope, _BODY)
    _plant(_under(body, namespace, name), namespace, fields)
    return envelope


def _plant(root: etree._Element, namespace: str, fields: Mapping[str, str | None]) -> None:
    parents = {"": root}
    for path, text in fields.items():
        above, _, name = path.rpartition("/")
        if above not in parents:
            parents[above] = _under(root, namespace, above)
        leaf = _under(parents[above], namespace, name)
        leaf.text = _HOLE if text is None else text


def _under(parent: etree._Element, namespace: str, name: str) -> etree._Element:
    nsmap = cast("dict[str, str]", {None: namespace})  # lxml-stubs 0.5 knows no default namespace
    return etree.SubElement(parent, f"{{{namespace}}}{name}", nsmap=nsmap)
