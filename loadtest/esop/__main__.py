"""One emulated support system of a province as a process.

Prints `ready NAME port=… control=…` when it listens.
"""

import time
from typing import Annotated

import typer

from loadtest.business.message import Party
from loadtest.business.northbound import Account
from loadtest.business.system import run
from loadtest.emulator import password_of
from loadtest.esop.desk import Settings
from loadtest.esop.server import ESOP


def main(
    *,
    province: Annotated[str, typer.Option(help="Company code; the docs have them all.")],
    hlrd: Annotated[str, typer.Option(help="URL of the province's hlrd.")],
    account: Annotated[str, typer.Option(help="The system's account at hlrd.")],
    password_env: Annotated[str, typer.Option(help="The variable that has its password.")],
    name: str = "",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7093,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7193,
    hlrd_name: Annotated[str, typer.Option(help="What messages call hlrd.")] = Party.HLRD,
    first_user: Annotated[
        int, typer.Option(help="User id of the first member; 0: by the time, never one twice.")
    ] = 0,
    pool: Annotated[str, typer.Option(help="That its members' numbers are drawn from.")] = "iot",
    run_id: Annotated[str, typer.Option("--run", help="In its order ids.")] = "",
) -> None:
    """Emulate the ESOP of one province, with a control port beside it."""
    now = int(time.time())
    settings = Settings(
        name=name or f"esop{province}",
        province=province,
        hlrd=hlrd,
        account=Account(account, password_of("", password_env)),
        hlrd_party=hlrd_name,
        run=run_id or f"{now:x}",
        first_user=first_user or int(f"{province}{now}001"),
        pool=pool,
    )
    run(lambda: ESOP(settings), host=host, port=port, control_port=control_port)


if __name__ == "__main__":
    typer.run(main)
