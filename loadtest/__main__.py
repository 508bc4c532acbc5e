"""`python -m loadtest`: the flows of the seed documents, and storms."""

import typer

from loadtest.flow.cli import flow

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
app.command()(flow)


@app.callback()
def _many() -> None:
    """Commands are told by their names, even while there is one."""


if __name__ == "__main__":
    app(prog_name="python -m loadtest")
