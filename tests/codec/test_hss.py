"""The SOAP envelopes of HLR commands, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlrd.codec import hss, mml, soap
from hlrd.codec.base import UnsafeValue
from hlrd.codec.hss import LOGIN_NAMESPACE, NAMESPACE
from hlrd.codec.mml import MMLCommand
from hlrd.domain.errors import ProtocolError

COMMANDS = [
    'MOD LCK:HLRSN=1,IMSI="001010000000001",IC=TRUE,OC=FALSE;',
    'MOD GPRS_CONTEXT:IMSI="001010000000001",PROV=ADDPDPCNTX,CNTXID=2,APN="iot.gd";',
    'BAT ADD KI:IMSILIST="001010000000001&001010000000002";',
    'LGI:HLRSN=1,OPNAME="hlrd",PWD="p<&>w";',
]

SUBSCRIBER = f"""<?xml version="1.0" ?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="{soap.ENVELOPE}"><SOAP-ENV:Body>
<LST_SUBResponse xmlns="{NAMESPACE}"><Result><ResultCode>0</ResultCode>
<ResultDesc>SUCCESS0001:Operation is successful</ResultDesc><ResultData>
<Group><Group><HLRSN>5</HLRSN></Group><Group><IMSI>001010000000001</IMSI></Group></Group>
<Group Name ="LOCK" ><IC>FALSE</IC><OC>TRUE</OC></Group>
<Group Name ="SABLOCK" ><IC>TRUE</IC><OC>TRUE</OC></Group>
<Group Name ="Basic Service" ><TS>TS11</TS><TS>TS12</TS></Group>
<Group Name ="PS Data" ><CHARGE_GLOBAL>PREPAID</CHARGE_GLOBAL>
<Group><CNTXID>1</CNTXID><APN>a.b</APN></Group><Group><CNTXID>2</CNTXID><APN>c.d</APN></Group>
</Group></ResultData></Result></LST_SUBResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>"""


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_is_read_as_it_was_written(text: str) -> None:
    command = mml.parse_command(text.encode())
    credentials = {"UserName": "hlrd", "PassWord": "s<e>c"}

    read = hss.read_request(hss.request(command, credentials))

    assert (read.command.name, read.command.params) == (command.name, command.params)
    assert (read.user, read.password) == ("hlrd", "s<e>c")
    assert read.name == hss.element(command.name)
    assert "s<e>c" not in repr(read)


@given(st.text(max_size=30))
def test_no_value_adds_markup_or_a_parameter(value: str) -> None:
    command = MMLCommand("MOD LCK", {"IMSI": value}, b"")
    try:
        body = hss.request(command)
    except UnsafeValue:
        return

    content = soap.content_of(body)
    assert len(content) == 1
    assert len(content[0]) == 0


def test_what_mml_could_not_carry_is_no_command() -> None:
    hostile = MMLCommand("MOD LCK", {"IMSI": '1";RMV SUB:IMSI="2'}, b"")

    assert hss.read_request(hss.request(hostile)).command.name == ""


def test_an_answer_is_read_as_it_was_written() -> None:
    records = ({"IMSI": "001010000000001"}, {"CNTXID": "1", "APN": "a<b"}, {"CNTXID": "2"})
    body = hss.answer("LST_GPRS", "0", "SUCCESS0001:fine", records, session="t" * 64)

    read = hss.read(body)

    assert (read.name, read.said.codes, read.said.status) == ("LST_GPRS", (0,), "SUCCESS0001")
    assert read.said.text == "fine"
    assert read.said.records() == [{**record} for record in records]


def test_groups_within_groups_are_records_and_the_first_of_a_name_counts() -> None:
    said = hss.read(SUBSCRIBER.encode()).said

    assert said.values()["IC"] == "FALSE"
    assert said.values()["HLRSN"] == "5"
    contexts = [record for record in said.records() if "CNTXID" in record]
    assert [(each["CNTXID"], each["APN"]) for each in contexts] == [("1", "a.b"), ("2", "c.d")]


def test_several_codes_come_in_one_list() -> None:
    said = hss.read(hss.answer("HeartBeat", "[3001, 3048]", "[no, none]")).said

    assert said.codes == (3001, 3048)


def test_elements_may_stand_in_no_namespace() -> None:
    body = hss.answer("MOD_LCK", "3001", "ERR3001:none").replace(
        f' xmlns="{NAMESPACE}"'.encode(), b""
    )

    assert hss.read(body).said.codes == (3001,)


def test_a_value_cannot_look_like_another() -> None:
    body = hss.answer("LST_SUB", "0", "", [{"NOTE": "x\nIMSI  =  001010000000009"}])

    assert "IMSI" not in hss.read(body).said.values()


def test_a_login_has_a_namespace_of_its_own() -> None:
    login = hss.request(mml.parse_command(COMMANDS[3].encode()))

    assert LOGIN_NAMESPACE.encode() in login
    assert LOGIN_NAMESPACE.encode() in hss.answer("LGI", "0", "")


def test_a_fault_is_told_by_its_code() -> None:
    read = hss.read(hss.fault("Server", "away"))

    assert (read.name, read.said.status, read.said.text) == (soap.FAULT, "Server", "away")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        b'<!DOCTYPE x [<!ENTITY e "0">]>' + SUBSCRIBER.encode(),
        hss.request(mml.parse_command(COMMANDS[0].encode())),
        hss.answer("MOD_LCK", "x", ""),
        hss.answer("MOD_LCK", "[]", ""),
        SUBSCRIBER.replace("<ResultCode>0</ResultCode>", "").encode(),
        SUBSCRIBER.replace(NAMESPACE, "http://example.com/other/").encode(),
    ],
)
def test_what_is_no_answer_breaks_the_protocol(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        hss.read(body)
