"""The emulated SSO as a process.

Prints `ready NAME port=… control=…` when it listens.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from loadtest.business.system import run
from loadtest.sso.core import Person, Settings
from loadtest.sso.server import Server


def main(
    *,
    people: Annotated[
        str, typer.Option(help='A file, or JSON: [{"name", "password", "rights": ["fallout.*"]}].')
    ],
    name: str = "sso",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7094,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7194,
    issuer: Annotated[str, typer.Option(help="iss of its tokens.")] = "https://sso.example",
    audience: Annotated[list[str] | None, typer.Option(help="aud; hlrd if none is named.")] = None,
    token_s: Annotated[float, typer.Option(min=0.1, max=86_400, help="Life of a token.")] = 3_600,
    cookie_s: Annotated[float, typer.Option(min=1, max=86_400, help="Life of a login.")] = 28_800,
    return_host: Annotated[
        list[str] | None, typer.Option(help="That a login may go back to; this machine if none.")
    ] = None,
    token: Annotated[
        str, typer.Option(help="The bearer that systems show.", envvar="OWN_TOKEN")
    ] = "",
    jwks_file: Annotated[
        Path | None, typer.Option(help="Its public keys go there, and after each change again.")
    ] = None,
) -> None:
    """Emulate the SSO (统一认证), with a control port beside it."""
    usual = Settings()
    settings = Settings(
        name=name,
        issuer=issuer,
        audiences=tuple(audience or usual.audiences),
        token_s=token_s,
        cookie_s=cookie_s,
        hosts=frozenset(return_host or usual.hosts),
        bearer=token,
    )
    known = _people(people)
    run(
        lambda: Server(settings, known, jwks_file=jwks_file),
        host=host,
        port=port,
        control_port=control_port,
    )


def _people(given: str) -> list[Person]:
    """Quotes nothing of it: there are passwords in it."""
    try:
        text = given if given.lstrip().startswith("[") else Path(given).read_text("utf-8")
        return msgspec.json.decode(text, type=list[Person])
    except OSError as error:
        raise typer.BadParameter(f"cannot read it: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        form = '[{"name": …, "password": …, "rights": […]}]'
        raise typer.BadParameter(f"not a list of people: {form}") from None


if __name__ == "__main__":
    typer.run(main)
