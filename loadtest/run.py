"""`make run`: daemon, emulators and PostgreSQL stay up until Ctrl-C.

The data stays in `.hlrd/run` and is taken up again by the next run.
"""

import argparse
import asyncio
import socket
import sys
import time
from pathlib import Path
from typing import Final

from hlrd.domain.orders import Source
from loadtest.owner import run_until_signal
from loadtest.process import StackError
from loadtest.settings import POOL, PROVINCE, Credentials, Shape
from loadtest.simlot import stock
from loadtest.stack import PLATFORMS, Stack, running
from loadtest.stocking import Staff
from loadtest.view import View

FOLDER: Final = Path(".hlrd/run")
STOCK_ORDERS: Final = 40_000
"""Activations that the stock of the first run is good for."""
ACCOUNTS: Final = {"crm": Source.CRM, "boss": Source.BOSS, "esop200": Source.ESOP}
"""Of the systems that docs/systems.md starts by hand."""


async def stay_up(shape: Shape, view: View) -> None:
    for wanted in (shape.http_port, shape.admin_port):
        refuse_taken(wanted)
    FOLDER.mkdir(parents=True, exist_ok=True)
    credentials = Credentials.kept_in(FOLDER / "credentials.json")
    view.say("starting")
    async with running(shape, folder=FOLDER.resolve(), credentials=credentials) as stack:
        staff = Staff(stack.http, stack.url, stack.token(Source.OPS))
        if await staff.get(f"/v1/pools/{POOL}") is None:
            await staff.import_stock(stock(shape.hlr_names, orders=STOCK_ORDERS, seed=shape.seed))
            view.say("imported a pool of numbers and a stock of cards")
        view.say("up")
        view.console.print(welcome(stack), markup=False, soft_wrap=True)
        while True:
            await asyncio.sleep(0.5)
            for process in (stack.daemon, *stack.elements.values()):
                process.refuse_if_ended()


def refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise StackError(
                f"port {port} is taken; end what listens there, or choose: make run PORT=9080"
            )


def welcome(stack: Stack) -> str:
    """URLs, and commands that work when pasted."""
    wide = max(8, *(len(name) for name in stack.control_ports))
    controls = "\n".join(
        f"  {name:{wide}} http://127.0.0.1:{port}/faults"
        for name, port in stack.control_ports.items()
    )
    tag = time.strftime("%H%M%S")
    order = (
        f'{{"type": "MEMBER_ACTIVATE", "order_id": "A-{tag}", "province": "{PROVINCE}",'
        f' "operator_id": "zhang3", "user_id": "1{tag}", "ec_code": "EC1"}}'
    )
    esop, ops = stack.token(Source.ESOP), stack.token(Source.OPS)
    commands = Path(sys.executable).parent
    passwords = " ".join(
        f"{user.upper()}_PASSWORD={stack.credentials.password(user)}" for user in ACCOUNTS
    )
    tokens = f"HLRD_TOKEN={ops} OPS={ops} TOKEN={esop}"
    return f"""
  {"API":{wide}} {stack.url}/v1/work-orders
  {"admin":{wide}} {stack.admin_url}/metrics  /healthz  /readyz
{controls}
  {"logs":{wide}} {stack.folder}

Activate a member and wait for its receipt:
curl -sw '\\n' {stack.url}/v1/work-orders -H 'Authorization: Bearer {esop}' \\
  -H 'Content-Type: application/json' -H 'Prefer: wait=5' \\
  -d '{order}'

Fetch receipts:
curl -sw '\\n' '{stack.url}/v1/receipts?after=0' -H 'Authorization: Bearer {esop}'

See the number pool:
curl -sw '\\n' {stack.url}/v1/pools/{POOL} -H 'Authorization: Bearer {ops}'

For hlrd, the curl lines of docs/ and the systems of docs/systems.md, in another terminal:
export PATH="{commands}:$PATH" HLRD_URL={stack.url} {tokens} {passwords}

The tokens of the other sources are in {stack.folder}/hlrd.toml.
Ctrl-C ends everything; the data stays in {FOLDER} (make clean removes it).
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="loadtest.run", description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--admin-port", type=int, default=8081)
    parser.add_argument("--platforms", action="store_true", help="those of class 1 as well")
    options = parser.parse_args()
    shape = Shape(
        http_port=options.port,
        admin_port=options.admin_port,
        platforms=[platform.dialect for platform in PLATFORMS] if options.platforms else [],
        accounts=ACCOUNTS,
        remembers=True,
    )
    view = View()
    code = run_until_signal(stay_up(shape, view), on_failure=view.fail)
    return 0 if code == 130 else code  # Ctrl-C is how it is meant to end


if __name__ == "__main__":
    sys.exit(main())
