"""One emulated relay, registry or partner province as a process.

Prints `ready NAME port=… control=…` when it listens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from loadtest.business.message import Party
from loadtest.business.northbound import Account
from loadtest.emulator import password_of, profile_of, run
from loadtest.forward import Hop
from loadtest.relay.core import RELAYS, Role
from loadtest.relay.onward import HLRD
from loadtest.relay.server import Server, Settings
from loadtest.relay.ways import Neighbours

_PROVINCES: Final = f"{Party.HLRD_PROVINCE} {{province}}"


def main(
    *,
    role: Annotated[Role, typer.Option(help="Which of the four it is.")],
    name: str = "",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7091,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7191,
    path: Annotated[str, typer.Option(help="Of the service, if not the dialect's own.")] = "",
    token: Annotated[str, typer.Option(help="The bearer to ask for.", envvar="OWN_TOKEN")] = "",
    hop: Annotated[str, typer.Option(help="Of a relay: URL of the registry's service.")] = "",
    hop_token: Annotated[str, typer.Option(envvar="HOP_TOKEN")] = "",
    partner: Annotated[
        list[str] | None,
        typer.Option(help="Of a BBOSS: PROVINCE=URL of a partner without an hlrd, once for each."),
    ] = None,
    province: Annotated[
        list[str] | None,
        typer.Option(help="Of a BBOSS: PROVINCE=URL of its hlrd, once for each."),
    ] = None,
    hlrd: Annotated[
        str,
        typer.Option(help="Of a registry: URL of headquarters' hlrd. Without: it answers itself."),
    ] = "",
    account: Annotated[str, typer.Option(help="At hlrd, or at the hlrd of each province.")] = "",
    password_env: Annotated[str, typer.Option(help="Variable that has the password.")] = "",
    hlrd_name: Annotated[
        str, typer.Option(help="What messages call hlrd; {province} stands for the province.")
    ] = "",
    caller: Annotated[
        str, typer.Option(help="What messages call who asks a relay; {province} as above.")
    ] = _PROVINCES,
    hop_every_s: Annotated[float, typer.Option(min=0.001, help="Between two tries there.")] = 0.2,
    again_s: Annotated[
        float, typer.Option(min=0.01, help="Until a province is told again what it refused.")
    ] = 5.0,
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 300.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    seed: int = 0,
) -> None:
    """Emulate one system on the way to headquarters, with a control port beside it.

    Faults befall what it is asked by SUBSCRIBE, UNSUBSCRIBE, REPORT, CANCEL, SUBSCRIBE_MEMBER and
    UNSUBSCRIBE_MEMBER, and what it orders of an hlrd by the kind of the order.
    """
    _refuse(bool(hop) != (role in RELAYS), "--hop", f"{role.value}: of relays, and of all of them")
    _refuse(bool(partner) and role is not Role.BBOSS, "--partner", "only of a BBOSS")
    _refuse(bool(province) and role is not Role.BBOSS, "--province", "only of a BBOSS")
    _refuse(bool(hlrd) and role is not Role.PBOSS, "--hlrd", "only of the registry")
    _refuse(bool(hlrd or province) != bool(account), "--account", "with --hlrd or --province")
    _refuse(bool(account) and not password_env, "--password-env", "with --account")
    known = Account(account, password_of("", password_env))
    named = hlrd_name or (Party.HLRD_HQ if hlrd else _PROVINCES)
    settings = Settings(
        role=role,
        name=name or role.value,
        path=path,
        token=token,
        neighbours=Neighbours(
            registry=Hop(Role.PBOSS, hop.rstrip("/"), hop_token) if hop else None,
            hlrd=HLRD(hlrd, known, named) if hlrd else None,
            partners={of: Hop(Role.PARTNER, url) for of, url in _pairs(partner, "--partner")},
            provinces={
                of: HLRD(url, known, named.replace("{province}", of))
                for of, url in _pairs(province, "--province")
            },
            every_s=hop_every_s,
            again_s=again_s,
        ),
        caller=caller if role in RELAYS else "",
        idle_close_s=idle_close_s,
        state_file=state_file,
        seed=seed,
    )
    profile = profile_of(faults_json)
    run(
        lambda: Server(settings, profile),
        name=settings.name,
        host=host,
        port=port,
        control_port=control_port,
    )


def _refuse(is_wrong: bool, option: str, why: str) -> None:
    if is_wrong:
        raise typer.BadParameter(why, param_hint=option)


def _pairs(given: Sequence[str] | None, option: str) -> list[tuple[str, str]]:
    pairs = []
    for each in given or ():
        province, _, url = each.partition("=")
        _refuse(not (province and url), option, f"{each!r} is not PROVINCE=URL")
        pairs.append((province, url.rstrip("/")))
    return pairs


if __name__ == "__main__":
    typer.run(main)
