"""Where a channel's vectors lie: each index implements `folioscope.ports.PageIndex`.

Each has a folder of its own, which holds it or, where it is on a server, a mark that says so. What kind of index a
folder holds is seen from the folder: a change of settings is for indexes that are made after it.
"""

import shutil
from pathlib import Path
from typing import Any, Literal

from folioscope.domain import Fingerprint
from folioscope.ports import PageIndex
from retrieval.indexes.edge import EdgeIndex
from retrieval.indexes.memory import MemoryIndex

__all__ = ["EdgeIndex", "MemoryIndex", "erase_index", "index_exists", "open_index"]

MARK = "on-server"


def open_index(
    folder: Path,
    fingerprint: Fingerprint,
    *,
    pooled: bool = False,
    vectors: Literal["qdrant", "chroma"] = "qdrant",
    datatype: Literal["float16", "int8"] = "float16",
    server: Any = None,
    current: bool | None = None,
) -> PageIndex:
    """The index of this folder, made if `index_exists` says that there is none; raises as the index's class does.

    ``pooled``: pages have hundreds of vectors, as page images do, and are searched in stages. ``datatype``: how Qdrant
    stores multi vectors in an index that is made now. ``vectors``: see the setting; sparse ones are in Qdrant in any
    case. ``server``: a client from `retrieval.indexes.server.connect`; the index is then a collection there, named
    after the folder and the one around it. ``current``: see `index_exists`.
    """
    if not index_exists(folder, server, current):
        erase_index(folder, server)  # what was left where it is no longer kept would have missed what came since
    if server is not None:
        from retrieval.indexes.server import ServerIndex

        index = ServerIndex(server, _name(folder), fingerprint, pooled=pooled, datatype=datatype)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
        return index
    if fingerprint.kind != "sparse" and _is_chroma(folder, vectors):
        from retrieval.indexes.chroma import ChromaIndex

        return ChromaIndex(folder, fingerprint)
    return EdgeIndex(folder, fingerprint, pooled=pooled, datatype=datatype)


def index_exists(folder: Path, server: Any = None, current: bool | None = None) -> bool:
    """Whether there is an index to be opened, in the folder or, if a client is given, on its server.

    ``current``: whether what is there was the last to be written to, and not one of another place since; None: as the
    mark in the folder says, which knows of this folder alone.
    """
    marked = (folder / MARK).exists()
    if server is None:
        return folder.exists() and not marked and current is not False
    from retrieval.indexes.server import exists

    return (marked if current is None else current) and exists(server, _name(folder))


def erase_index(folder: Path, server: Any = None) -> None:
    """Remove the index, in the folder and, if a client is given, on its server. It is closed."""
    if server is not None:
        from retrieval.indexes.server import remove

        remove(server, _name(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _name(folder: Path) -> str:
    return f"folioscope-{folder.parent.name}-{folder.name}"


def _is_chroma(folder: Path, vectors: str) -> bool:
    """As the folder is; a new one as the setting says."""
    return (folder / "chroma").exists() if (folder / "fingerprint.json").exists() else vectors == "chroma"
