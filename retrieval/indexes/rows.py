"""Pages' vectors as int8 rows in a file that is only appended to, mapped into memory to be read.

``journal`` says what ``rows`` holds: after a first line that names the format, a line of JSON for each page written and
each deletion, in order. `flush` synchronises the rows first, then the journal; what lies in the file beyond the rows
that the journal names was never acknowledged and is cut off when the folder is opened. What is deleted keeps its space.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import PageKey
from retrieval.maxsim import Rows, quantized, unit

FORMAT = b'{"format": 1}\n'


class RowStore:
    """Pages of int8 rows with a scale each; not synchronised: the caller locks.

    Opens the store in ``folder``, which exists, or makes one there. Raises `OSError` and `ValueError` where it is
    damaged. A page's position in ``keys`` never changes; ``places`` has the positions of the living pages alone.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._journal, self._rows = folder / "journal", folder / "rows"
        self._type = np.dtype([("scale", "<f2"), ("values", "i1", (dim,))])
        self.keys: list[PageKey] = []
        self.places: dict[PageKey, int] = {}
        self._offsets = [0]  # of each page's first row, and the end
        self._pending: list[str] = []
        if not self._rows.exists() and not (self._journal.exists() and self._journal.stat().st_size):
            _write(self._journal, 0, FORMAT)
        self._written = self._replay()
        self._trim()
        self._file: IO[bytes] = self._rows.open("r+b")

    def append(self, key: PageKey, vectors: NDArray[np.float32]) -> None:
        """Write a page's vectors, float32 [n, dim]. Replaces the key's page; a page that can't be written is none."""
        # Where the last page ends, not where the file does: a write that failed half-way may have left something.
        self._file.seek(self._offsets[-1] * self._type.itemsize)
        self._file.write(self._packed(vectors))
        self._file.flush()
        self._add(key, len(vectors))
        self._pending.append(json.dumps([*key, len(vectors)]))

    def delete(self, document_id: str, version: int | None) -> None:
        """Forget a document's pages, of one version or of all."""
        self._drop(document_id, version)
        self._pending.append(json.dumps([document_id, version]))

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        os.fsync(self._file.fileno())
        self._written = _write(self._journal, self._written, "".join(f"{line}\n" for line in self._pending).encode())
        self._pending.clear()

    def mapped(self) -> Rows:
        """All pages in the order of ``keys``, as they are now: int8 with float16 scales."""
        offsets = np.array(self._offsets, np.int64)
        if not offsets[-1]:
            rows = np.empty(0, self._type)
        else:
            rows = np.memmap(self._rows, self._type, "r", shape=(int(offsets[-1]),)).view(np.ndarray)
        return Rows(rows["values"], offsets, rows["scale"])

    def chosen(self, documents: frozenset[str] | None) -> list[int]:
        """Positions of the living pages, of these documents alone, rising."""
        return sorted(place for key, place in self.places.items() if documents is None or key.document_id in documents)

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _add(self, key: PageKey, count: int) -> None:
        self.places[key] = len(self.keys)
        self.keys.append(key)
        self._offsets.append(self._offsets[-1] + count)

    def _drop(self, document_id: str, version: int | None) -> None:
        for key in list(self.places):
            if key.document_id == document_id and version in (None, key.version):
                del self.places[key]

    def _packed(self, vectors: NDArray[np.float32]) -> bytes:
        rows = np.empty(len(vectors), self._type)
        rows["values"], rows["scale"] = quantized(vectors)
        return rows.tobytes()

    def _replay(self) -> int:
        """Read the journal: its bytes up to the last whole line.

        A line that a kill cut off was not acknowledged; the next one is written over it.
        """
        text = self._journal.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if not whole.startswith(FORMAT):
            raise ValueError(f"{self._journal.name} does not begin as it should")
        os.truncate(self._journal, len(whole))
        for line in map(json.loads, whole[len(FORMAT) :].splitlines()):
            if len(line) == 2:
                self._drop(*line)
            else:
                document, version, number, count, *_ = line  # earlier versions wrote metadata behind
                self._add(PageKey(document, version, number), count)
        return len(whole)

    def _trim(self) -> None:
        """Cut off what the journal does not name."""
        self._rows.touch()
        size, named = self._rows.stat().st_size, self._offsets[-1] * self._type.itemsize
        if size < named:
            raise ValueError(f"{self._rows.name} has {size} bytes, the journal names {named}")
        os.truncate(self._rows, named)


def page_of(rows: Rows, place: int) -> NDArray[np.float32]:
    """The vectors of the page at this position: float32 [n, dim], rows of length 1."""
    part = slice(rows.offsets[place], rows.offsets[place + 1])
    return unit(rows.vectors[part].astype(np.float32))


def _write(path: Path, position: int, content: bytes) -> int:
    """Write from ``position`` on, synchronise; where it ends."""
    with path.open("r+b" if position else "wb") as file:
        file.seek(position)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()
