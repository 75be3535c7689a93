"""From the paths that a person names to the files that are meant."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from folioscope.errors import DocumentError, NotFoundError
from ingest.sources import LONGEST_LOOK, SUPPORTED, detect

SUFFIXES = (".pdf", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp")


@dataclass(frozen=True, slots=True)
class Found:
    """``files``: to be ingested, each once, in order. ``skipped``: files in folders that are no documents."""

    files: tuple[Path, ...]
    skipped: int


def discover(paths: Sequence[Path]) -> Found:
    """Files named are taken as they are. Folders are walked, hidden entries left out; of their files those count that
    are documents by their first bytes, or by their name (a broken PDF is a failure to report, not a file to skip).

    Raises `NotFoundError` when a path does not exist, or when there is no document in all of them.
    """
    files: dict[Path, None] = {}
    skipped = 0
    for path in paths:
        if path.is_dir():
            for entry in _walk(path):
                if _is_document(entry):
                    files.setdefault(entry)
                else:
                    skipped += 1
        elif path.exists():
            files.setdefault(path)
        else:
            raise NotFoundError(f"{path} does not exist.", hint=_nearby(path))
    if not files:
        named = ", ".join(str(path) for path in paths)
        raise NotFoundError(f"There is no document in {named} ({skipped} other files).", hint=SUPPORTED)
    return Found(tuple(files), skipped)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            entry = Path(parent, name)
            if not name.startswith(".") and entry.is_file():
                yield entry


def _is_document(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as stream:
            detect(stream.read(LONGEST_LOOK))
    except (OSError, DocumentError):
        return False
    return True


def _nearby(path: Path) -> str:
    import difflib

    parent = path.parent
    if not parent.is_dir():
        return f"Nor does the folder {parent}."
    near = difflib.get_close_matches(path.name, [entry.name for entry in parent.iterdir()], n=1, cutoff=0.6)
    return f"Did you mean {parent / near[0]}?" if near else ""
