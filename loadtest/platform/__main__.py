"""One emulated platform as a process. Prints `ready NAME port=… control=…` when it listens."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from loadtest.emulator import profile_of, run
from loadtest.forward import Hop
from loadtest.platform.core import NEXT_HOP
from loadtest.platform.server import Server, Settings


class Dialect(StrEnum):
    CLASS1_PLATFORM = "class1_platform"
    PROVINCE_PLATFORM = "province_platform"
    PROVINCE_MANAGEMENT = "province_management"
    NATIONWIDE_MANAGEMENT = "nationwide_management"
    IOT_GATEWAY = "iot_gateway"


def main(
    *,
    dialect: Annotated[Dialect, typer.Option(help="Which of the five it is.")],
    name: str = "",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7090,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7190,
    path: Annotated[str, typer.Option(help="Of the service, if not the dialect's own.")] = "",
    token: Annotated[str, typer.Option(help="The bearer to ask for.", envvar="OWN_TOKEN")] = "",
    hop: Annotated[str, typer.Option(help="URL of the next hop's service.")] = "",
    hop_token: Annotated[str, typer.Option(envvar="HOP_TOKEN")] = "",
    hop_every_s: Annotated[float, typer.Option(min=0.001, help="Between two tries there.")] = 0.2,
    idle_close_s: Annotated[float, typer.Option(min=0.1)] = 300.0,
    state_file: Annotated[Path | None, typer.Option(help="Keeps the state over restarts.")] = None,
    faults_json: Annotated[str, typer.Option("--faults", help="loadtest/faults.py")] = "{}",
    seed: int = 0,
) -> None:
    """Emulate one platform of the IoT business over HTTP, with a control port beside it."""
    next_hop = NEXT_HOP.get(dialect)
    if bool(hop) != bool(next_hop):
        want = f"needs the URL of its {next_hop}" if next_hop else "passes nothing on"
        raise typer.BadParameter(f"{dialect.value} {want}", param_hint="--hop")
    settings = Settings(
        dialect=dialect,
        name=name or dialect.value,
        path=path,
        token=token,
        hop=Hop(next_hop, hop.rstrip("/"), hop_token) if next_hop else None,
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


if __name__ == "__main__":
    typer.run(main)
