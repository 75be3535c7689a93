"""The command that asks a preset question of images and pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from api.cli import output
from api.cli.answering import ModelName, open_reading_model, show_end
from api.cli.exits import SOME_FAILED
from api.cli.options import AsJson, Pages, Quiet, numbers_of
from api.cli.output import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from folioscope.ports import VisionModel
    from generation import Look
    from ingest.sandbox import Sandbox

Kind = Literal["describe", "text", "chart", "code", "ui", "compare", "differences"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(look)


def look(
    kind: Annotated[Kind, typer.Argument(help="What is asked; of compare and differences about all images together.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images and PDFs.")],
    pages: Pages = None,
    model: ModelName = None,
    password: Annotated[str | None, typer.Option(help="Opens encrypted PDFs.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Look at images or pages with a vision-language model: what they show, their text, chart, code or screen, or how
    they differ.

    --json writes one line for each image, or one for all of them with compare and differences.
    """
    from folioscope.settings import load_settings
    from generation.look import PRESETS
    from ingest.discover import discover
    from ingest.sandbox import Limits, Ocr, Sandbox

    settings = load_settings({"model": model})
    reader = open_reading_model(settings, quiet)
    found = discover(files).files
    with Sandbox(Limits.from_settings(settings), Ocr("off"), workers=1) as sandbox:
        looking = _Looking(sandbox, reader, pages, password, as_json, quiet)
        if PRESETS[kind].together:
            looking.together(kind, found)
        else:
            looking.one_by_one(kind, found)
    if looking.failed:
        raise typer.Exit(SOME_FAILED)


class _Looking:
    """One call of the command."""

    def __init__(
        self, sandbox: Sandbox, reader: VisionModel, pages: str | None, password: str | None, as_json: bool, quiet: bool
    ) -> None:
        self.failed = 0
        self._sandbox = sandbox
        self._reader = reader
        self._pages = pages
        self._password = password
        self._as_json = as_json
        self._quiet = quiet

    def one_by_one(self, kind: Kind, files: tuple[Path, ...]) -> None:
        """Each image for itself; one that fails is told, and the others go on."""
        from folioscope.errors import DocumentError, ModelAuth, ModelError
        from generation import look as look_at

        for path in files:
            try:
                for number, image in self._images(path):
                    self._show(look_at(self._reader, kind, [image]), [(path, number)])
            except (DocumentError, ModelError) as error:
                if len(files) == 1 or isinstance(error, ModelAuth):
                    raise
                self.failed += 1
                say(f"{path.name}: {error} [{error.code}]")

    def together(self, kind: Kind, files: tuple[Path, ...]) -> None:
        """All images in one question."""
        from generation import look as look_at

        images, places = [], []
        for path in files:
            for number, image in self._images(path):
                images.append(image)
                places.append((path, number))
                if len(images) > self._reader.limits.max_pictures:
                    break  # one too many: the error says so, the rest need not be drawn
        self._show(look_at(self._reader, kind, images), places)

    def _images(self, path: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        with self._sandbox.open(path, self._password) as opened:
            for number in numbers_of(self._pages, opened.page_count) or range(1, opened.page_count + 1):
                yield number, opened.render(number, self._reader.limits.long_edge)

    def _show(self, found: Look, places: list[tuple[Path, int]]) -> None:
        from generation import to_json

        if self._as_json:
            images = [{"file": str(path), "filename": path.name, "page": page} for path, page in places]
            output.line({"images": images, **to_json(found)})
            return
        output.text("; ".join(f"{path.name}, page {page}" for path, page in places))
        told = found.text if found.data is None else json.dumps(found.data, ensure_ascii=False, indent=2)
        for line in told.splitlines():
            output.text(f"  {line}")
        show_end(found, self._quiet)
