"""`python -m loadtest`: the flows of the seed documents, and storms."""

import typer

from loadtest.flow.cli import flow
from loadtest.storm.cli import app as storm

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
app.command()(flow)
app.add_typer(storm, name="storm", help="The worst hours of a province, and the proof.")


if __name__ == "__main__":
    app(prog_name="python -m loadtest")
