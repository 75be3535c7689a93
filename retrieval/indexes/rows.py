"""Pages' vectors as int8 rows in files that are only appended to, mapped into memory to be read.

``journal`` says what the files hold: a line of JSON for each page written and each deletion, in order. `flush`
synchronises the rows first, then the journal; what lies in a file beyond the rows that the journal names was never
acknowledged and is cut off when the folder is opened. The first line names the generation of the files: `compact`
writes new ones without what was deleted and replaces the journal in one rename.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import PageKey, Where
from retrieval.indexes.labels import labels
from retrieval.maxsim import Rows, quantized, unit


class Entry(NamedTuple):
    """A page that was written: its key and its metadata's labels."""

    key: PageKey
    labels: frozenset[str]


class RowStore:
    """Pages of int8 rows with a scale each, in the files ``names``; not synchronised: the caller locks.

    Opens the store in ``folder``, which exists, or makes one there. Raises `OSError` and `ValueError` where it is
    damaged. A page's position in ``entries`` never changes; ``places`` has the positions of the living pages alone.
    """

    def __init__(self, folder: Path, dim: int, names: Sequence[str]) -> None:
        self._folder, self._names = folder, tuple(names)
        self._type = np.dtype([("scale", "<f2"), ("values", "i1", (dim,))])
        self.entries: list[Entry] = []
        self.places: dict[PageKey, int] = {}
        self._offsets = {name: [0] for name in self._names}  # of each page's first row, and the end
        self._pending: list[str] = []
        if not self._journal.exists():
            if any(path.suffix != ".new" for path in folder.iterdir()):
                raise ValueError("the journal is missing")
            self._write_journal(1, [])
        self._generation, self._written = self._replay()
        for name in self._names:
            self._trim(name)
        self._files: dict[str, IO[bytes]] = {name: self._path(name).open("r+b") for name in self._names}

    def append(self, key: PageKey, marks: Iterable[str], parts: Mapping[str, NDArray[np.float32]]) -> None:
        """Write a page's vectors, float32 [n, dim] for each file. Replaces the key's page."""
        for name, file in self._files.items():
            # Where the last page ends, not where the file does: a write that failed half-way may have left something.
            file.seek(self._offsets[name][-1] * self._type.itemsize)
            file.write(self._packed(*quantized(parts[name])))
            file.flush()  # what fails, fails before the page counts
        self._add(key, marks, [len(parts[name]) for name in self._names])
        self._pending.append(self._line(self.places[key]))

    def delete(self, document_id: str, version: int | None) -> None:
        """Forget a document's pages, of one version or of all."""
        self._drop(document_id, version)
        self._pending.append(json.dumps([document_id, version]))

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        for file in self._files.values():
            _synchronise(file)
        with self._journal.open("r+b") as journal:
            journal.seek(self._written)
            journal.write("".join(f"{line}\n" for line in self._pending).encode())
            _synchronise(journal)
            self._written = journal.tell()
        self._pending.clear()

    def mapped(self, name: str) -> Rows:
        """All pages of a file in the order of ``entries``, as they are now: int8 with float16 scales."""
        offsets = np.array(self._offsets[name], np.int64)
        if not offsets[-1]:
            rows = np.empty(0, self._type)
        else:
            rows = np.memmap(self._path(name), self._type, "r", shape=(int(offsets[-1]),)).view(np.ndarray)
        return Rows(rows["values"], offsets, rows["scale"])

    def chosen(self, where: Where | None) -> list[int]:
        """Positions of the living pages that a filter lets through, rising."""
        if where is None:
            return sorted(self.places.values())
        wanted = set(labels(where.metadata))
        return sorted(
            place
            for key, place in self.places.items()
            if (where.documents is None or key.document_id in where.documents)
            and wanted.issubset(self.entries[place].labels)
        )

    def compact(self) -> bool:
        """Write files anew without what was deleted or replaced, and close. False: there was nothing to do.

        A compacted store is to be opened anew: its pages' positions have changed.
        """
        self.flush()
        if len(self.places) == len(self.entries):
            return False
        kept = sorted(self.places.values())
        for name in self._names:
            values, offsets, scales = self.mapped(name)
            assert scales is not None
            with self._path(name, self._generation + 1).open("wb") as file:
                for part in (slice(offsets[place], offsets[place + 1]) for place in kept):
                    file.write(self._packed(values[part], scales[part]))
                _synchronise(file)
        self._write_journal(self._generation + 1, [self._line(place) for place in kept])
        self.close()
        return True

    def close(self) -> None:
        """Release the files."""
        for file in self._files.values():
            file.close()

    def _add(self, key: PageKey, marks: Iterable[str], counts: Iterable[int]) -> None:
        self.places[key] = len(self.entries)
        self.entries.append(Entry(key, frozenset(marks)))
        for name, count in zip(self._names, counts, strict=True):
            self._offsets[name].append(self._offsets[name][-1] + count)

    def _drop(self, document_id: str, version: int | None) -> None:
        for key in list(self.places):
            if key.document_id == document_id and version in (None, key.version):
                del self.places[key]

    def _packed(self, values: NDArray[np.int8], scales: NDArray[np.float16]) -> bytes:
        rows = np.empty(len(values), self._type)
        rows["values"], rows["scale"] = values, scales
        return rows.tobytes()

    def _line(self, place: int) -> str:
        """A page's line in the journal: document, version, number, rows in each file, labels."""
        counts = [self._offsets[name][place + 1] - self._offsets[name][place] for name in self._names]
        return json.dumps([*self.entries[place].key, counts, sorted(self.entries[place].labels)])

    def _replay(self) -> tuple[int, int]:
        """Read the journal: the generation that it names, and its bytes up to the last whole line.

        A line that a kill cut off was not acknowledged; the next one is written over it.
        """
        text = self._journal.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        os.truncate(self._journal, len(whole))
        first, *lines = whole.splitlines()
        for line in map(json.loads, lines):
            if len(line) == 2:
                self._drop(*line)
            else:
                document, version, number, counts, marks = line
                self._add(PageKey(document, version, number), marks, counts)
        return json.loads(first)["generation"], len(whole)

    def _trim(self, name: str) -> None:
        """Cut off what the journal does not name, and remove files of other generations."""
        path, size = self._path(name), self._offsets[name][-1] * self._type.itemsize
        for other in self._folder.glob(f"{name}.*"):
            if other != path:
                other.unlink()
        path.touch()
        if path.stat().st_size < size:
            raise ValueError(f"{path.name} has {path.stat().st_size} bytes, the journal names {size}")
        os.truncate(path, size)

    def _write_journal(self, generation: int, lines: Iterable[str]) -> None:
        new = self._folder / "journal.new"
        with new.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in [json.dumps({"generation": generation}), *lines])
            _synchronise(file)
        new.replace(self._journal)

    @property
    def _journal(self) -> Path:
        return self._folder / "journal"

    def _path(self, name: str, generation: int | None = None) -> Path:
        return self._folder / f"{name}.{generation or self._generation}"


def page_of(rows: Rows, place: int) -> NDArray[np.float32]:
    """The vectors of the page at this position: float32 [n, dim], rows of length 1."""
    part = slice(rows.offsets[place], rows.offsets[place + 1])
    return unit(rows.vectors[part].astype(np.float32))


def _synchronise(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
