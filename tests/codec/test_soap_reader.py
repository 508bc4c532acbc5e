"""A reader gives what the parser gives, whatever came before; it is only faster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.codec import soap, soap_reader
from hlrd.codec.soap import Message, Template
from hlrd.codec.soap_reader import LESSONS_MAX, Reader
from hlrd.domain.errors import ProtocolError

NAMESPACE = "http://ne.example/schemas/"
START = f'<s:Envelope xmlns:s="{soap.ENVELOPE}" xmlns="{NAMESPACE}">'
LAYOUTS = (
    START + "<s:Header><T>%s</T></s:Header><s:Body><Resp><V>1</V><R>%s</R></Resp></s:Body>%s",
    START + "<s:Header>\n <T>%s</T>\n</s:Header><s:Body><Resp><R>%s</R></Resp></s:Body>\n%s",
    START + "<s:Header><!-- >7< --><T>%s</T></s:Header><s:Body><Resp><R>%s</R></Resp></s:Body>%s",
    START + "<s:Header><T><![CDATA[%s]]></T></s:Header><s:Body><Resp><R>%s</R></Resp></s:Body>%s",
    START + "<s:Header><T>%s</T></s:Header><s:Body><Resp><!-- >0< --><R>%s</R></Resp></s:Body>%s",
    START + "<s:Header><T>%s</T><T2>7</T2></s:Header><s:Body><Resp><R>%s</R></Resp></s:Body>%s",
    START + "<s:Header><T>%s</T></s:Header><s:Body><s:Fault><R>%s</R></s:Fault></s:Body>%s",
    START + "<s:Header><X>%s</X></s:Header><s:Body><Resp><R>%s</R></Resp></s:Body>%s",
    "%s%s%s",
)
TEXTS = st.sampled_from(
    ["0", "7", "9004", "", "a b", "&lt;", "<x/>", "]]>", "<!--", "1</T><T>2", "成"]
)


def a_reader() -> Reader:
    return Reader(NAMESPACE, header="T", field="R")


def a_body(transaction: str, result: str) -> bytes:
    return Template("Resp", NAMESPACE, {"V": "1", "R": None}, {"T": None}).fill(
        (transaction, result)
    )


def parsed(parser: Reader | None, body: bytes) -> Message | None:
    try:
        return parser.parse(body) if parser is not None else soap.parse(body, NAMESPACE)
    except ProtocolError:
        return None


@given(st.sampled_from(LAYOUTS), st.lists(st.tuples(TEXTS, TEXTS), max_size=8))
def test_whatever_came_before_it_reads_what_the_parser_reads(
    layout: str, texts: list[tuple[str, str]]
) -> None:
    reader = a_reader()
    bodies = [(layout % (*each, "</s:Envelope>")).encode() for each in texts]

    assert [parsed(reader, body) for body in bodies] == [parsed(None, body) for body in bodies]


@given(st.lists(st.sampled_from(LAYOUTS), max_size=8))
def test_a_peer_may_change_its_layout_at_any_time(layouts: list[str]) -> None:
    reader = a_reader()
    bodies = [(layout % ("7", "0", "</s:Envelope>")).encode() for layout in [*layouts, "%s%s%s"]]

    assert [parsed(reader, body) for body in bodies] == [parsed(None, body) for body in bodies]


def test_what_only_looks_like_the_text_is_not_taken_for_it() -> None:
    reader = a_reader()
    layout = (
        START + "<s:Header><!-- >%s< --><T>7</T></s:Header>"
        "<s:Body><Resp><!-- >%s< --><R>0</R></Resp></s:Body></s:Envelope>"
    )

    for in_comments in (("7", "0"), ("8", "0"), ("7", "1")):
        message = reader.parse((layout % in_comments).encode())
        assert message == Message("Resp", {"R": "0"}, {"T": "7"})


@pytest.mark.parametrize("body", [b"", b"OK", a_body("1", "0")[:-1]])
def test_what_the_parser_refuses_it_refuses_each_time(body: bytes) -> None:
    reader = a_reader()
    reader.parse(a_body("1", "0"))

    for _ in range(2):
        with pytest.raises(ProtocolError):
            reader.parse(body)


def test_a_message_like_the_one_before_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = a_reader()
    reader.parse(a_body("1", "0"))
    monkeypatch.setattr(soap_reader.soap, "parse", None)

    assert reader.parse(a_body("2", "4007")) == Message("Resp", {"V": "1", "R": "4007"}, {"T": "2"})


def test_it_stops_learning_from_a_peer_that_is_never_twice_alike() -> None:
    reader = a_reader()
    for number in range(LESSONS_MAX):
        reader.parse(a_body("1", "0").replace(b"<V>1</V>", b"<V>%d</V>" % (number + 10)))
    before = reader._shape

    late = reader.parse(a_body("1", "0"))

    assert late == Message("Resp", {"V": "1", "R": "0"}, {"T": "1"})
    assert reader._shape is before
