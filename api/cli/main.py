"""The command line. Results go to stdout, progress and errors to stderr.

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 some documents failed, 5 back end unavailable, 130 interrupted.
Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import os
import sys

import typer

from api.cli import ask, channels, installation, library

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

OK, FAILURE, USAGE, NOT_FOUND, SOME_FAILED, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def main() -> None:
    """Run a command; every error of ours becomes a sentence on stderr and an exit code."""
    from folioscope.errors import FolioscopeError

    try:
        app(prog_name="folioscope")
    except FolioscopeError as error:
        print(f"folioscope: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        print("folioscope: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is left to say, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILURE)


def exit_code(error: Exception) -> int:
    """The exit code of an error of ours."""
    from folioscope import errors

    if isinstance(error, errors.NotFoundError):
        return NOT_FOUND
    if isinstance(error, errors.ConfigError | errors.QueryError):
        return USAGE
    if isinstance(error, errors.StorageError | errors.ChannelUnavailable | errors.ModelUnavailable):
        return UNAVAILABLE
    return FAILURE
