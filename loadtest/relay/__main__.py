"""One emulated relay, registry or partner province as a process.

Prints `ready NAME port=… control=…` when it listens.
"""

from pathlib import Path
from typing import Annotated

import typer

from loadtest.emulator import profile_of, run
from loadtest.forward import Hop
from loadtest.relay.core import RELAYS, Role
from loadtest.relay.server import Server, Settings


def main(
    *,
    role: Annotated[Role, typer.Option(help="Which of the four it is.")],
    name: str = "",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7091,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7191,
    path: Annotated[str, typer.Option(help="Of the service, if not the dialect's own.")] = "",
    token: Annotated[str, typer.Option(help="The bearer to ask for.", envvar="TOKEN")] = "",
    hop: Annotated[str, typer.Option(help="Of a relay: URL of the registry's service.")] = "",
    hop_token: Annotated[str, typer.Option(envvar="HOP_TOKEN")] = "",
    partner: Annotated[
        list[str] | None, typer.Option(help="Of a BBOSS: PROVINCE=URL, once for each partner.")
    ] = None,
    hop_every_s: Annotated[float, typer.Option(min=0.001, help="Between two tries there.")] = 0.2,
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 300.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    seed: int = 0,
) -> None:
    """Emulate one system on the way to headquarters, with a control port beside it."""
    if bool(hop) != (role in RELAYS):
        want = "needs the URL of the registry" if role in RELAYS else "passes nothing on"
        raise typer.BadParameter(f"{role.value} {want}", param_hint="--hop")
    if partner and role is not Role.BBOSS:
        raise typer.BadParameter(f"{role.value} has no partners", param_hint="--partner")
    settings = Settings(
        role=role,
        name=name or role.value,
        path=path,
        token=token,
        hop=Hop(Role.PBOSS, hop.rstrip("/"), hop_token) if hop else None,
        partners=dict(_partner(each) for each in partner or ()),
        hop_every_s=hop_every_s,
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


def _partner(named: str) -> tuple[str, Hop]:
    province, _, url = named.partition("=")
    if not (province and url):
        raise typer.BadParameter(f"{named!r} is not PROVINCE=URL", param_hint="--partner")
    return province, Hop(Role.PARTNER, url.rstrip("/"))


if __name__ == "__main__":
    typer.run(main)
