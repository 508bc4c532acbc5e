"""The `hlrd` command: run the daemon, look after its database, and ask it things."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hlrd import __version__
from hlrd.cli import (
    audit,
    batch,
    ec,
    fallout,
    master,
    move,
    orders,
    pool,
    product,
    receipt,
    reservations,
    session,
    simimport,
)
from hlrd.config import ConfigError, Settings, load
from hlrd.domain.errors import HlrdError

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, and so keys
    help="Service provisioning: work orders in, commands to network elements, receipts out.",
)
pool.pool.add_typer(reservations.reservation)  # without a name: commands of `hlrd pool`
cli.add_typer(pool.pool, name="pool")
cli.add_typer(simimport.sim, name="sim")
cli.add_typer(orders.order, name="order")
cli.add_typer(batch.batch, name="batch")
cli.add_typer(move.ne, name="ne")
cli.add_typer(product.product, name="product")
cli.add_typer(ec.ec, name="ec")
cli.add_typer(fallout.fallout, name="fallout")
cli.add_typer(master.master, name="master")
cli.add_typer(receipt.receipt, name="receipt")
cli.add_typer(audit.audit, name="audit")
cli.add_typer(session.session, name="session")

Config = Annotated[Path, typer.Option("--config", help="As hlrd.example.toml.")]
_CONFIG = Path("hlrd.toml")


@cli.command()
def serve(config: Config = _CONFIG) -> None:
    """Run the daemon until SIGTERM; a second one ends it at once."""
    settings = load(config)
    import uvloop

    from hlrd.app import serve as run
    from hlrd.runtime import logging

    logging.set_up(settings.log_level)
    try:
        uvloop.run(run(settings, partial(load, config)))
    except BaseExceptionGroup as failures:  # the first of the daemon's works that failed ended all
        raise failures.exceptions[0] from None


@cli.command()
def migrate(config: Config = _CONFIG) -> None:
    """Bring the database up to this release, as `serve` does by itself."""
    applied = asyncio.run(_migrate(load(config)))
    typer.echo(f"{applied} migrations applied")


@cli.command("check-config")
def check_config(config: Config = _CONFIG) -> None:
    """Say everything that is wrong with a configuration, or that nothing is."""
    settings = load(config)
    wrong = list(_wrong(settings))
    if wrong:
        raise ConfigError("\n".join([f"{config} is not usable:", *wrong]))
    who = f"{len(settings.tokens)} tokens, {len(settings.accounts)} accounts"
    typer.echo(f"{config}: {who}, {len(settings.ne)} network elements, ok")


@cli.command()
def version() -> None:
    """Say which release this is."""
    typer.echo(__version__)


def _wrong(settings: Settings) -> Iterator[str]:
    """What only shows when the settings are put to use."""
    from hlrd.assembly import network
    from hlrd.runtime.accounts import credential
    from hlrd.runtime.delivery.registration import registration
    from hlrd.runtime.operators import registration as staff_of

    checks: list[Callable[[], object]] = [
        partial(network.routes, settings),
        partial(network.homes, settings),
        *(partial(network.adapter, ne) for ne in settings.ne),
        *(partial(registration, endpoint) for endpoint in settings.receipt_endpoint),
        *(partial(credential, account) for account in settings.accounts),
        partial(staff_of.registration, settings.operators),
    ]
    for check in checks:
        try:
            check()
        except HlrdError as error:
            yield f"  {error}"


async def _migrate(settings: Settings) -> int:
    from hlrd.store import embedded
    from hlrd.store.connection import connect
    from hlrd.store.migrate import migrate as bring_up

    server = await asyncio.to_thread(embedded.start, settings.database)
    try:
        connection = await connect(server.dsn, "migrate")
        try:
            return await bring_up(connection)
        finally:
            await connection.close()
    finally:
        await asyncio.to_thread(server.stop, only_if_unused=True)


def main() -> None:
    try:
        cli()
    except HlrdError as error:
        sys.exit(f"hlrd: {error}")


if __name__ == "__main__":
    main()
