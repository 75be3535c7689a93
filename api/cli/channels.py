"""Commands about a collection's channels: add, rm, backfill, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import output
from api.cli.exits import UNAVAILABLE
from api.cli.options import AsJson, CollectionName, DataDir, Quiet
from api.cli.output import say
from api.cli.places import open_place

if TYPE_CHECKING:
    from api.cli.progress import Work
    from ingest.channels import ChannelStatus

GO_ON = "`folioscope channels backfill`"

channels = typer.Typer(help="Channels of a collection: the ways of finding its pages.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="lexical, semantic, visual or image.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(channels, name="channels")


@channels.command("add")
def add(
    name: Name,
    encoder: Annotated[
        str | None, typer.Option(help="What makes its vectors, such as colpali:FOLDER; else the setting's.")
    ] = None,
    collection: CollectionName = None,
    data_dir: DataDir = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return only when it has every page.")] = False,
    quiet: Quiet = False,
) -> None:
    """Add a channel; with another encoder than it has, build that one beside and search it once it has every page."""
    from api.cli.progress import working

    with working(data_dir, go_on=GO_ON, quiet=quiet) as work:
        entry = work.place.add_channel(collection, name, encoder)
        say(f"{entry.key} with {entry.encoder}" + ("" if entry.active else f", built beside the {name} channel"))
        if wait:
            _backfill(work, collection, entry.key, quiet)
        else:
            say(f"{GO_ON} takes the pages in, so does the next ingest")


@channels.command("rm")
def rm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A channel's name, or the key of one being built.")],
    collection: CollectionName = None,
    data_dir: DataDir = None,
) -> None:
    """Remove a channel and its index, or give up one that is being built; documents and other channels stay."""
    with open_place(data_dir) as place:
        for entry in place.remove_channel(collection, name):
            say(f"removed {entry.key} ({entry.encoder})")


@channels.command("backfill")
def backfill(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this channel.")] = None,
    collection: CollectionName = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
) -> None:
    """Take in what the collection's channels have not yet; returns when they have every page or can't be used."""
    from api.cli.progress import working

    with working(data_dir, go_on=GO_ON, quiet=quiet) as work:
        _backfill(work, collection, name, quiet)


def _backfill(work: Work, collection: str | None, name: str | None, quiet: bool) -> None:
    with work.shown(quiet):
        work.place.backfill(collection, name)
    if not quiet:
        say(f"{work.counter.filled} pages taken in, {work.counter.seconds:.1f} s")
    unusable = [
        status
        for status in work.place.channel_status(collection)
        if status.problem and name in (None, status.entry.key, status.entry.name)
    ]
    for status in unusable:
        say(f"{status.entry.key} can't be used: {status.problem}")
    if unusable and not work.stopped:
        raise typer.Exit(UNAVAILABLE)


@channels.command("status")
def status(collection: CollectionName = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show each channel: its encoder, how many of the pages it has, its size on disk, why it can't be used."""
    with open_place(data_dir) as place:
        found = place.channel_status(collection)
    if as_json:
        output.json_document([_json(row) for row in found])
        return
    output.table(
        ["key", "channel", "encoder", "searched", "pages", "MB", "problem"],
        [
            [
                row.entry.key,
                row.entry.name,
                str(row.fingerprint or row.entry.encoder),
                "yes" if row.entry.active else "not yet",
                f"{row.coverage.done}/{row.coverage.total}",
                f"{row.bytes / 2**20:.1f}",
                row.problem,
            ]
            for row in found
        ],
    )


def _json(row: ChannelStatus) -> dict[str, Any]:
    return {
        "key": row.entry.key,
        "name": row.entry.name,
        "encoder": row.entry.encoder,
        "active": row.entry.active,
        "fingerprint": row.fingerprint.asdict() if row.fingerprint else None,
        "coverage": {"done": row.coverage.done, "total": row.coverage.total},
        "bytes": row.bytes,
        "problem": row.problem or None,
    }
