"""One emulated CRM as a process. Prints `ready NAME port=… control=…` when it listens."""

from typing import Annotated

import typer

from loadtest.business.front import Settings
from loadtest.business.frontcli import (
    AccountOption,
    Authorization,
    AuthorizationOption,
    HlrdOption,
    MasterOption,
    OperatorOption,
    PasswordEnvOption,
    RunOption,
    SendsOption,
    SsoOption,
    SsoTokenEnvOption,
    account_of,
    masters_of,
    portal_of,
)
from loadtest.business.standing import Sends
from loadtest.business.system import run
from loadtest.crm.server import Server


def main(
    *,
    hlrd: HlrdOption,
    boss: Annotated[str, typer.Option(help="URL of BOSS.")],
    account: AccountOption = "crm",
    password_env: PasswordEnvOption = "CRM_PASSWORD",
    name: str = "crm",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7060,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7160,
    master: MasterOption = None,
    backup_sends: SendsOption = Sends.BOSS,
    sso: SsoOption = "",
    sso_token_env: SsoTokenEnvOption = "",
    authorization: AuthorizationOption = Authorization.LOCAL,
    operator: OperatorOption = None,
    run_id: RunOption = "",
) -> None:
    """Emulate a CRM that decomposes orders, with a control port beside it."""
    settings = Settings(
        name=name,
        hlrd=hlrd,
        peer=boss,
        account=account_of(account, password_env),
        masters=masters_of(master),
        sends=backup_sends,
        portal=portal_of(
            sso, token_env=sso_token_env, authorization=authorization, operators=operator
        ),
        run=run_id,
    )
    run(lambda: Server(settings), host=host, port=port, control_port=control_port)


if __name__ == "__main__":
    typer.run(main)
