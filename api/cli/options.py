"""Options that several commands share, and how a command opens the library with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from ingest import Library

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="Where everything lives (else FOLIOSCOPE_DATA_DIR)."),
]
CollectionName = Annotated[
    str | None, typer.Option("--collection", "-c", metavar="NAME", help="Which collection; else the setting's.")
]
TopK = Annotated[int | None, typer.Option("-k", "--top-k", metavar="NUMBER", min=1, max=100, help="How many pages.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary on stderr.")]
Password = Annotated[
    str | None, typer.Option("--password", metavar="TEXT", help="Opens encrypted PDFs. Kept, to draw pages later.")
]
Document = Annotated[
    list[str] | None,
    typer.Option("--document", "-d", metavar="DOCUMENT", help="Only in this one (id or file name); may be repeated."),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--meta", metavar="KEY=VALUE", help="Tags the documents, to filter by later; may be repeated."),
]
Meta = Annotated[
    list[str] | None,
    typer.Option("--meta", metavar="KEY=VALUE", help="Only in documents tagged so; may be repeated."),
]
OcrEngine = Annotated[
    Literal["auto", "tesseract", "rapidocr", "off"] | None,
    typer.Option("--ocr", help="What reads scans; auto: tesseract where it is installed, else rapidocr."),
]
OcrLanguages = Annotated[
    str | None, typer.Option("--ocr-languages", metavar="CODES", help="Tesseract's codes, such as eng+deu.")
]
Pages = Annotated[
    str | None, typer.Option("--pages", metavar="PAGES", help="Only these pages of each file, such as 1-3,7.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Return only when the slower channels are filled, too.")]


def _can_be_written(path: Path | None) -> Path | None:
    """Said before the work, not after it."""
    if path is None:
        return None
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise typer.BadParameter(f"{path} ends in none of {', '.join(IMAGE_SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.absolute().parent}")
    return path


SaveImage = Annotated[
    Path | None,
    typer.Option(
        "--save-image",
        metavar="FILE",
        help="Write the highlighted page here (.png, .jpg, .webp).",
        callback=_can_be_written,
    ),
]
OpenImage = Annotated[bool, typer.Option("--open-image", help="Show the highlighted page in the system's viewer.")]


def open_library(data_dir: Path | None, **flags: object) -> Library:
    """The library with the settings in force; flags that are None are as if not given."""
    from folioscope.settings import load_settings
    from ingest import Library

    return Library(settings=load_settings({"data_dir": data_dir, **flags}))


def numbers_of(pages: str | None, of: int) -> list[int] | None:
    """``"1-3,7"`` -> [1, 2, 3, 7]; None for all. Raises `ConfigError` for what is no page of so many."""
    from folioscope.errors import ConfigError

    if pages is None:
        return None
    numbers: list[int] = []
    for part in pages.split(","):
        first, dash, last = part.partition("-")
        if not (first.strip().isdecimal() and (last.strip().isdecimal() or not dash)):
            raise ConfigError(f"{part!r} in {pages!r} is no page.", hint="Write for example 1-3,7.")
        start, end = int(first), int(last or first)
        if not 1 <= start <= end <= of:
            raise ConfigError(f"There are no pages {part}: the document has {of}.", hint="Pages count from 1.")
        numbers += range(start, end + 1)
    return list(dict.fromkeys(numbers))


def parse_meta(pairs: list[str] | None) -> dict[str, str | int | float | bool]:
    """``["year=2024", "draft=true"]`` -> typed values: true/false, integers, decimals, else text."""
    from folioscope.errors import ConfigError

    values: dict[str, str | int | float | bool] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not (key and equals):
            raise ConfigError(f"--meta {pair!r} is not key=value.", hint="Write for example --meta year=2024.")
        values[key] = _typed(text)
    return values


def _typed(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
