"""One emulated receiver as a process. Prints `ready NAME port=…` when it listens."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from loadtest.receiver.core import Mood, Receiver
from loadtest.receiver.server import Server


def main(
    *,
    secret_file: Annotated[Path, typer.Option(help="As the daemon's: one or two lines.")],
    name: str = "receiver1",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7091,
    refuse: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share answered 503.")] = 0.0,
    hang: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share never answered.")] = 0.0,
    seed: int = 0,
) -> None:
    """Take receipts, check their signatures and their order, and count: GET /stats."""
    mood = Mood(hangs=True, share=hang) if hang else Mood(503, share=refuse)
    receiver = Receiver(secret_file.read_text().split(), mood=mood, seed=seed)
    uvloop.run(_serve(receiver, name=name, host=host, port=port))


async def _serve(receiver: Receiver, *, name: str, host: str, port: int) -> None:
    server, stopping = Server(receiver), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await server.open(host, port)
    print(f"ready {name} port={server.port}", flush=True)
    await stopping.wait()
    await server.close()


if __name__ == "__main__":
    typer.run(main)
