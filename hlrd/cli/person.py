"""Who acts, as the command line says it; the daemon believes an operator's token alone."""

import getpass
import os
import re
from typing import Annotated, Final

import typer

OPERATOR_VARIABLE: Final = "HLRD_OPERATOR"
TOKEN_VARIABLE: Final = "HLRD_TOKEN"

_NAME: Final = re.compile(r"\A[\x21-\x7e]{1,20}\Z")


def person() -> str:
    """Whom the token names, or else the variable, or else who is logged in; empty where nobody
    is. As far as a header can say it.
    """
    return named_by_token() or os.environ.get(OPERATOR_VARIABLE) or _login()


def named_by_token(otherwise: str = "") -> str:
    """The operator of a token that is his own. Not checked here: the daemon does that."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if token.count(".") != 2:
        return otherwise
    import jwt

    try:
        name = jwt.decode(token, options={"verify_signature": False}).get("sub")
    except jwt.PyJWTError:
        return otherwise
    return name if isinstance(name, str) and _NAME.match(name) else otherwise


def _login() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return ""
    return re.sub(r"[^\x21-\x7e]", "_", name)[:20]


Operator = Annotated[
    str, typer.Option("--operator", default_factory=person, help="Who does it; default: you.")
]
