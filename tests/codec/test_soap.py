"""What a template is filled with is what a reader finds, and nothing but an envelope is read."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd import limits
from hlrd.codec import soap
from hlrd.codec.base import UnsafeValue
from hlrd.codec.soap import Message, Template
from hlrd.domain.errors import ProtocolError

NAMESPACE = "http://ne.example/schemas/"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"

XML_TEXT = st.text(
    st.one_of(
        st.sampled_from("<>&\"';\t\r\n]"),
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
    ),
    max_size=40,
)


def a_template() -> Template:
    return Template(
        "SetReq",
        NAMESPACE,
        header={"TransactionID": None},
        fields={"Version": "1.5.0", "User/MSISDN": None, "User/Code": "", "Action": None},
    )


def an_envelope(body: str, header: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{ENVELOPE}" xmlns:d="{NAMESPACE}">'
        f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


@given(XML_TEXT, XML_TEXT, XML_TEXT)
def test_what_is_written_is_read_back_and_nothing_else(
    transaction: str, msisdn: str, action: str
) -> None:
    body = a_template().fill((transaction, msisdn, action))

    assert soap.parse(body, NAMESPACE) == Message(
        "SetReq",
        {"Version": "1.5.0", "User/MSISDN": msisdn, "User/Code": "", "Action": action},
        {"TransactionID": transaction},
    )


PLAIN = st.text("0123456789AZaz._:/+=-", max_size=20)


@given(PLAIN, PLAIN, PLAIN)
def test_a_template_reads_what_it_wrote(first: str, second: str, third: str) -> None:
    body = a_template().fill((first, second, third))

    assert a_template().read(body) == (first.encode(), second.encode(), third.encode())


@given(XML_TEXT, XML_TEXT, XML_TEXT)
def test_what_a_template_reads_is_what_was_written_or_nothing(
    first: str, second: str, third: str
) -> None:
    values = a_template().read(a_template().fill((first, second, third)))

    assert values in (None, (first.encode(), second.encode(), third.encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a/>",
        a_template().fill(("1", "2", "3")) + b"\n",
        a_template().fill(("1", "2", "3"))[1:],
        a_template().fill(("1", "2", "3")).replace(b"1.5.0", b"1.5.1"),
        a_template().fill(("1", "2", "3")).replace(b">2<", b"><b/><"),
    ],
)
def test_a_template_reads_nothing_but_its_own(body: bytes) -> None:
    assert a_template().read(body) is None


@given(XML_TEXT)
def test_no_value_adds_markup(value: str) -> None:
    tags = re.compile(rb"<[^>]*>")
    plain = tags.findall(a_template().fill(("1", "1", "1")))

    assert tags.findall(a_template().fill((value, value, value))) == plain


@given(st.text(), st.sampled_from(["\0", "\x0b", "\x1b", "\ud800", "\udfff", "\ufffe", "\uffff"]))
def test_a_character_that_xml_cannot_hold_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(UnsafeValue, match="XML"):
        soap.escape(text + wrong)


def test_a_template_wants_exactly_its_values() -> None:
    for values in (("1", "2"), ("1", "2", "3", "4")):
        with pytest.raises(TypeError, match="arguments"):
            a_template().fill(values)


def test_the_mark_of_what_is_filled_in_cannot_stand_in_a_fixed_text() -> None:
    with pytest.raises(UnsafeValue, match=r"U\+E000"):
        Template("SetReq", NAMESPACE, header={}, fields={"A": "\ue000", "B": None})


@pytest.mark.parametrize(
    "content",
    [
        "<d:Resp><d:hRet>0</d:hRet></d:Resp>",
        "<Resp><hRet>0</hRet></Resp>",
        "<d:Resp>\n  <hRet>0</hRet>\n</d:Resp>",
        "<d:Resp><!-- fine --><hRet>0</hRet><?php echo ?></d:Resp>",
        "<d:Resp><hRet><![CDATA[0]]></hRet></d:Resp>",
        "<d:Resp><hRet>&#48;</hRet></d:Resp>",
        '<d:Resp><hRet xmlns:x="urn:x" x:type="x:int">0</hRet></d:Resp>',
    ],
    ids=["qualified", "bare", "blanks", "comment", "cdata", "reference", "attribute"],
)
def test_peers_spell_the_same_answer_differently(content: str) -> None:
    assert soap.parse(an_envelope(content), NAMESPACE) == Message("Resp", {"hRet": "0"})


def test_another_encoding_than_utf_8_is_read_too() -> None:
    text = an_envelope("<Resp><text>成功</text></Resp>").decode()
    body = b'<?xml version="1.0" encoding="GB2312"?>' + text.encode("gb2312")

    assert soap.parse(body, NAMESPACE).fields == {"text": "成功"}


def test_what_others_put_into_a_header_is_left_alone() -> None:
    header = '<d:TransactionID>7</d:TransactionID><To xmlns="urn:addressing">x</To>'

    assert soap.parse(an_envelope("<Resp/>", header), NAMESPACE).header == {"TransactionID": "7"}


def test_a_fault_is_a_message_with_its_code_and_text() -> None:
    fault = (
        "<s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring>"
        '<detail><x xmlns="urn:x"><y/></x></detail></s:Fault>'
    )

    message = soap.parse(an_envelope(fault), NAMESPACE)

    assert message == Message(soap.FAULT, {"faultcode": "s:Server", "faultstring": "no"})


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
WHOLE = (
    f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body><Resp><hRet>%s</hRet></Resp></s:Body></s:Envelope>'
)


@pytest.mark.parametrize(
    "body",
    [
        (LAUGHS + WHOLE % "&b;").encode(),
        (OUTSIDE + WHOLE % "&x;").encode(),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">' + WHOLE % "0").encode(),
        (LAUGHS + WHOLE % "0").encode("utf-16"),
        (WHOLE % "&x;").encode(),
    ],
    ids=["entities", "file", "remote", "utf-16", "undeclared"],
)
def test_no_document_type_and_no_entity_is_let_in(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        soap.parse(body, NAMESPACE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html><body>404</body></html>",
        b"\xff\xfe\x00",
        f'<s:Envelope xmlns:s="{ENVELOPE}"/>'.encode(),
        an_envelope(""),
        an_envelope("<a/><b/>"),
        an_envelope("<a><b>1</b><b>2</b></a>"),
        an_envelope('<a xmlns="urn:other"/>'),
        an_envelope('<a><b xmlns="urn:other">1</b></a>'),
        an_envelope("<a>" * 20 + "</a>" * 20),
        an_envelope("<a>" + "".join(f"<b{n}/>" for n in range(soap.FIELDS_MAX + 1)) + "</a>"),
        an_envelope("<a/>", "<d:T>1</d:T><d:T>2</d:T>"),
        an_envelope("<a>" + "x" * limits.FRAME_BYTES_MAX + "</a>"),
        b'<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body><a/></Body></Envelope>',
        an_envelope("<a/>")[:-1],
    ],
    ids=lambda body: repr(body[:30]),
)
def test_nothing_but_one_flat_soap_message_is_read(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        soap.parse(body, NAMESPACE)


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_but_a_protocol_error(garbage: bytes) -> None:
    for body in (garbage, an_envelope("<a/>") + garbage, garbage + an_envelope("<a/>")):
        with suppress(ProtocolError):
            soap.parse(body, NAMESPACE)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_message_is_read_or_refused(place: int, damage: bytes) -> None:
    body = a_template().fill(("00010000000001", "13800000000", "1"))
    at = place % len(body)

    try:
        message = soap.parse(body[:at] + damage + body[at + len(damage) :], NAMESPACE)
    except ProtocolError:
        return
    assert isinstance(message, Message)
