"""One emulated BOSS as a process. Prints `ready NAME port=… control=…` when it listens."""

from typing import Annotated

import typer

from loadtest.boss.server import Server
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


def main(
    *,
    hlrd: HlrdOption,
    crm: Annotated[str, typer.Option(help="URL of CRM.")],
    account: AccountOption = "boss",
    password_env: PasswordEnvOption = "BOSS_PASSWORD",
    name: str = "boss",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7061,
    control_port: Annotated[int, typer.Option(help="0 takes a free one.")] = 7161,
    master: MasterOption = None,
    backup_sends: SendsOption = Sends.BOSS,
    sso: SsoOption = "",
    sso_token_env: SsoTokenEnvOption = "",
    authorization: AuthorizationOption = Authorization.LOCAL,
    operator: OperatorOption = None,
    run_id: RunOption = "",
) -> None:
    """Emulate a BOSS that bills and controls credit, with a control port beside it."""
    settings = Settings(
        name=name,
        hlrd=hlrd,
        peer=crm,
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
