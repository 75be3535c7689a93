"""Commands that look at images: near duplicates in a collection, labels for files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import output
from api.cli.exits import SOME_FAILED
from api.cli.library import docs
from api.cli.options import AsJson, CollectionName, DataDir, open_library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.sandbox import Sandbox

CHANNEL = "image"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(label)
    docs.command("duplicates")(duplicates)


def duplicates(
    threshold: Annotated[float, typer.Option(min=0.01, max=1.0, help="Cosine from which two pages are alike.")] = 0.95,
    collection: CollectionName = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find pages and photos that look alike, by the image channel's stored vectors."""
    from api.duplicates import duplicate_pages
    from folioscope.errors import NotFoundError

    with open_library(data_dir) as library:
        found = library.collection(collection)
        channel = library.channels.searchable(found.id).get(CHANNEL)
        if channel is None:
            why = library.unavailable.get(CHANNEL, "")
            raise NotFoundError(
                f"The collection {found.name!r} has no {CHANNEL} channel. {why}".strip(),
                hint=f"`folioscope channels add {CHANNEL} -c {found.name}` gives it one.",
            )
        groups, pages = duplicate_pages(channel.index, library.documents(collection), threshold)
        total = sum(document.pages for document in library.documents(collection))
    if as_json:
        output.json_document({"threshold": threshold, "compared": pages, "pages": total, "groups": groups})
        return
    for number, group in enumerate(groups, 1):
        output.text(f"{number}. {len(group['pages'])} alike")
        for page in group["pages"]:
            output.text(f"   {page['filename']}, page {page['page']}")
    missing = f"; {total - pages} have no vector (yet)" if pages < total else ""
    output.say(f"{len(groups)} group{'s' * (len(groups) != 1)} among {pages} pages{missing}")


def label(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images and PDFs.")],
    labels: Annotated[list[str], typer.Option("--label", "-l", help="What it may show; at least two.")],
    model: Annotated[str | None, typer.Option(help="clip:… ; else the setting image_model.")] = None,
    template: Annotated[str, typer.Option(help="Text around the label, which stands for {}.")] = "a photo of {}",
    password: Annotated[str | None, typer.Option(metavar="TEXT", help="Opens encrypted PDFs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which of some labels fits each image or page best, without any training (zero-shot)."""
    from folioscope.errors import ConfigError, DocumentError
    from folioscope.settings import load_settings
    from ingest.discover import discover
    from ingest.sandbox import Limits, Ocr, Sandbox
    from retrieval import open_encoder
    from retrieval.encoders.clip import ClipEncoder
    from retrieval.images import label_images

    if len(set(labels)) < 2 or "{}" not in template:
        raise ConfigError(
            "Labels are compared with each other.", hint="Give --label at least twice, and a template with {}."
        )
    settings = load_settings()
    spec = model or settings.image_model
    encoder = open_encoder(spec)
    if not isinstance(encoder, ClipEncoder):
        raise ConfigError(
            f"{spec!r} is no model for images.", hint="`folioscope models ls --channel image` lists some."
        )
    rows, failed = [], 0
    with Sandbox(Limits.from_settings(settings), Ocr("off"), workers=1) as sandbox:
        for path in discover(files).files:
            try:
                for page, image in _images(sandbox, path, password, 2 * encoder.checkpoint.image_size):
                    (shares,) = label_images(encoder, [image], labels, template)
                    rows.append(_labelled(path, page, dict(zip(labels, shares.tolist(), strict=True))))
            except DocumentError as error:
                failed += 1
                output.say(f"{path.name}: {error} [{error.code}]")
    if as_json:
        output.json_document(rows)
    else:
        output.table(
            ["file", "page", "label", "share"],
            [[row["filename"], str(row["page"]), row["label"], f"{row['labels'][row['label']]:.3f}"] for row in rows],
        )
    if failed:
        raise typer.Exit(SOME_FAILED)


def _images(
    sandbox: Sandbox, path: Path, password: str | None, long_edge: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    with sandbox.open(path, password) as opened:
        for number in range(1, opened.page_count + 1):
            yield number, opened.render(number, long_edge)


def _labelled(path: Path, page: int, shares: dict[str, float]) -> dict[str, Any]:
    return {
        "file": str(path),
        "filename": path.name,
        "page": page,
        "label": max(shares, key=lambda name: shares[name]),
        "labels": {name: round(share, 4) for name, share in shares.items()},
    }
