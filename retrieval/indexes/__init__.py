"""Where a channel's vectors lie: each index implements `folioscope.ports.PageIndex`."""

from pathlib import Path
from typing import Any, Literal

from folioscope.domain import Fingerprint
from folioscope.ports import PageIndex
from retrieval.indexes.edge import EdgeIndex
from retrieval.indexes.mapped import MappedIndex
from retrieval.indexes.memory import MemoryIndex

__all__ = ["EdgeIndex", "MappedIndex", "MemoryIndex", "open_index"]


def open_index(
    folder: Path,
    fingerprint: Fingerprint,
    *,
    pooled: bool = False,
    vectors: Literal["qdrant", "chroma"] = "qdrant",
    datatype: Literal["float16", "int8"] = "float16",
    server: Any = None,
) -> PageIndex:
    """The index in this folder, made there if there is none; raises as the index's class does.

    ``pooled``: pages have hundreds of vectors, as page images do, and are searched in stages; embedded, they are in
    files of our own. ``vectors``: see the setting; sparse ones are in Qdrant in any case. ``server``: a client
    from `retrieval.indexes.server.connect`; the index is then a collection there, named after the folder and the one
    around it, and ``datatype`` is how it stores multi vectors.
    """
    if server is not None:
        from retrieval.indexes.server import ServerIndex

        name = f"folioscope-{folder.parent.name}-{folder.name}"
        return ServerIndex(server, name, fingerprint, pooled=pooled, datatype=datatype)
    if vectors == "chroma" and fingerprint.kind != "sparse":
        from retrieval.indexes.chroma import ChromaIndex

        return ChromaIndex(folder, fingerprint)
    return MappedIndex(folder, fingerprint) if pooled else EdgeIndex(folder, fingerprint, datatype=datatype)
