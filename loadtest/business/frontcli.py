"""The command line options that CRM and BOSS share."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from loadtest.business.northbound import Account
from loadtest.business.portal import PortalSettings, rights_of
from loadtest.business.standing import Master, Sends
from loadtest.emulator import password_of


class Authorization(StrEnum):
    LOCAL = "local"  #: 鉴权分散: by the system's own table
    CENTRAL = "central"  #: 鉴权集中: the SSO is asked


HlrdOption = Annotated[str, typer.Option("--hlrd", help="URL of hlrd.")]
AccountOption = Annotated[str, typer.Option("--account", help="User of the system's account.")]
PasswordEnvOption = Annotated[str, typer.Option(help="Variable that holds its password.")]
MasterOption = Annotated[
    list[str] | None, typer.Option("--master", help="PROVINCE=BOSS, CRM or backup.")
]


AuthorizationOption = Annotated[
    Authorization, typer.Option(help="Who says what an operator may do by the UI.")
]
OperatorOption = Annotated[
    list[str] | None, typer.Option("--operator", help="NAME=RIGHT,RIGHT of the local table.")
]
SsoOption = Annotated[str, typer.Option("--sso", help="URL of the SSO; none: there is no UI.")]
SsoTokenEnvOption = Annotated[
    str, typer.Option(help="Variable that holds the token by which the SSO knows the system.")
]
SendsOption = Annotated[Sends, typer.Option("--backup-sends", help="Under the scheme backup.")]
RunOption = Annotated[str, typer.Option("--run", help="In each order id; else by the time.")]


def masters_of(options: Sequence[str] | None) -> dict[str, Master]:
    """The values of `--master 200=BOSS`."""
    found: dict[str, Master] = {}
    for option in options or ():
        province, _, master = option.partition("=")
        try:
            found[province] = Master(master)
        except ValueError:
            raise typer.BadParameter(f"{option}: want 200=BOSS", param_hint="--master") from None
    return found


def account_of(user: str, password_env: str) -> Account:
    return Account(user, password_of("", password_env))


def portal_of(
    sso: str,
    *,
    token_env: str,
    authorization: Authorization,
    operators: Sequence[str] | None,
) -> PortalSettings:
    return PortalSettings(
        sso.rstrip("/"),
        password_of("", token_env),
        is_central=authorization is Authorization.CENTRAL,
        rights=rights_of(operators),
    )
