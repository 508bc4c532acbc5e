"""What a login gives, and each later request of its connection must show."""

from hlrd.domain.outcome import Verdict
from tests.ne.lines import Lines, an_account
from tests.ne.peer import Peer
from tests.ne.rig import Rig, a_command, until


class TicketLines(Lines):
    """The ticket is the number of the login, put before each request; no echo has it."""

    logins = 0

    def ticket(self, reply: str) -> str | None:
        self.logins += 1
        return str(self.logins)

    def ticketed(self, request: bytes, ticket: str) -> bytes:
        return f"T{ticket} ".encode() + request

    def echoes(self, request: bytes, reply: str) -> bool:
        return True


async def a_rig(peer: Peer) -> Rig:
    adapter = TicketLines(an_account(peer.port))
    return await Rig(peer.port, adapter=adapter, sessions_max=1, keepalive_s=0.2).started()


async def test_every_request_behind_a_login_shows_its_ticket(peer: Peer) -> None:
    rig = await a_rig(peer)

    assert (await rig.asked(a_command(1))).verdict is Verdict.DONE
    await until(lambda: "T1 PING" in peer.requests)
    await rig.driver.drain(1.0)

    assert peer.requests[0] == "LOGIN hlrd"
    assert {request.split()[0] for request in peer.requests[1:]} == {"T1"}
    assert peer.requests[-1] == "T1 BYE"


async def test_a_ticket_that_died_is_followed_by_a_new_one(peer: Peer) -> None:
    rig = await a_rig(peer)
    await rig.asked(a_command(1))
    peer.script = lambda request: "WHO" if request.startswith("T1") else "OK"

    assert (await rig.asked(a_command(2))).verdict is Verdict.SESSION
    await until(lambda: rig.driver.free() > 0)
    assert (await rig.asked(a_command(3))).verdict is Verdict.DONE
    await rig.driver.drain(1.0)

    commands = [request for request in peer.requests if "PING" not in request]
    assert [request.split()[0] for request in commands] == [
        "LOGIN",
        "T1",
        "T1",
        "LOGIN",
        "T2",
        "T2",
    ]
