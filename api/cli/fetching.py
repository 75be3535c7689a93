"""Addresses among the paths that a command is given."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.output import say

if TYPE_CHECKING:
    from ingest.intake import Origin


@contextlib.contextmanager
def fetched(named: Sequence[str], most_bytes: int) -> Iterator[tuple[list[Path], dict[Path, Origin]]]:
    """Paths of what is named, addresses fetched from the public internet, and where those files came from.

    Raises `Unfetchable`, `TooLarge` before anything is taken in, as a path does that is not there.
    """
    urls = [each for each in named if each.startswith(("http://", "https://"))]
    if not urls:
        yield [Path(each) for each in named], {}
        return
    from api.fetch import checked, fetch
    from ingest.folder import storage_errors
    from ingest.intake import Origin

    paths = [Path(each) for each in named if each not in urls]
    origins: dict[Path, Origin] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, url in enumerate(dict.fromkeys(urls)):
            say(f"fetching {url} …")
            path = Path(folder) / str(number)
            with storage_errors(path), path.open("wb") as file:
                final = fetch(url, file, most_bytes=most_bytes)
            filename = final.path.rstrip("/").rpartition("/")[2] or final.host
            origins[path] = Origin("".join(ch for ch in filename if ch.isprintable())[:255], str(checked(url)))
        yield [*paths, *origins], origins
