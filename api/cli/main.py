"""The command line. Results go to stdout, progress and errors to stderr; exit codes stand in `api.cli.exits`.

Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from api.cli import (
    ask,
    channels,
    exits,
    images,
    installation,
    keys,
    library,
    look,
    mcp,
    models,
    output,
    reading,
    serving,
)

app = typer.Typer(
    name="folioscope",
    help="Answers questions about documents by looking at their pages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
installation.add_to(app)
library.add_to(app)
channels.add_to(app)
ask.add_to(app)
images.add_to(app)
models.add_to(app)
reading.add_to(app)
look.add_to(app)
serving.add_to(app)
keys.add_to(app)
mcp.add_to(app)


def _print_version(asked: bool) -> None:
    if asked:
        installation.version()
        raise typer.Exit


@app.callback()
def folioscope(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Answers questions about documents by looking at their pages."""


def main() -> None:
    """Run a command; every error of ours becomes a sentence on stderr and an exit code."""
    from folioscope.errors import FolioscopeError

    try:
        app(prog_name="folioscope")
    except FolioscopeError as error:
        output.say(f"folioscope: {error}")
        sys.exit(exits.exit_code(error))
    except KeyboardInterrupt:
        output.say("folioscope: interrupted")
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is left to say, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(exits.FAILURE)
