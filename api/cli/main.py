"""The command line. Results go to stdout, progress and errors to stderr; exit codes stand in `api.cli.exits`.

Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from api.cli import (
    ask,
    channels,
    demo,
    evaluation,
    exits,
    images,
    installation,
    keys,
    library,
    look,
    mcp,
    models,
    output,
    places,
    reading,
    serving,
)

SERVER = ("--url", "--api-key")
HERE = ("config", "demo", "doctor", "eval", "label", "look", "models", "serve", "version", "worker")
"""Commands that are about this machine."""

app = typer.Typer(
    name="folioscope",
    help="Answers questions about documents by looking at their pages.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.add_to(app)
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
evaluation.add_to(app)


def _print_version(asked: bool) -> None:
    if asked:
        installation.version()
        raise typer.Exit


@app.callback()
def folioscope(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Work on the Folioscope server there (else FOLIOSCOPE_URL).")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Key of that server (better: FOLIOSCOPE_API_KEY).")
    ] = None,
) -> None:
    """Answers questions about documents by looking at their pages."""
    places.remember(url, api_key)
    if url and context.invoked_subcommand in HERE:
        raise typer.BadParameter(f"`{context.invoked_subcommand}` is about this machine; it goes through no server")


def server_first(arguments: Sequence[str]) -> list[str]:
    """--url and --api-key, which may also stand behind the command, moved before it."""
    ours, others, left = [], [], iter(arguments)
    for argument in left:
        if argument == "--":
            others += [argument, *left]
        elif argument in SERVER:
            ours += [argument, *islice(left, 1)]
        elif argument.startswith(tuple(f"{name}=" for name in SERVER)):
            ours.append(argument)
        else:
            others.append(argument)
    return [*ours, *others]


def main() -> None:
    """Run a command; every error of ours becomes a sentence on stderr and an exit code."""
    from folioscope.errors import FolioscopeError

    try:
        app(server_first(sys.argv[1:]), prog_name="folioscope")
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
