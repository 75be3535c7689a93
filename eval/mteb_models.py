"""Our encoders, alone or fused, as models of mteb, so that its tasks (ViDoRe among them) run with their own harness.

    import mteb
    from eval.mteb_models import Searching
    mteb.evaluate(Searching("colpali:ModernVBERT/colmodernvbert-merged"), mteb.get_tasks(["VidoreDocVQARetrieval"]))
    mteb.evaluate(Searching("lexical", "semantic"), tasks)          # the whole retriever

A row of a corpus is a page: its ``title`` and ``text`` are its words, its ``image`` what it looks like. Encoders of
words see nothing of a corpus of images alone: mteb hands over no files that OCR could read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import folioscope
from folioscope.domain import Coverage, DocumentRef, Metadata, PageInput, PageKey, Words
from folioscope.errors import EvaluationError
from folioscope.torch_device import import_torch
from retrieval import Channel, Retriever, open_encoder, open_index, reads_images
from retrieval.encoders import channel_of

KINDS = {"sparse": "sparse", "dense": "dense", "multi": "late-interaction"}
VERSION = 1


class Searching:
    """Implements mteb's ``SearchProtocol`` with our channels, indexes and fusion.

    ``specs``: for `retrieval.open_encoder`, one channel each. ``retriever``: options of `Retriever`, such as
    ``fusion`` and ``weights``. Raises `ConfigError`, `ChannelUnavailable`; `EvaluationError` where mteb is missing.
    """

    def __init__(self, *specs: str, trust_remote_code: bool = False, **retriever: Any) -> None:
        self._encoders = {spec: open_encoder(spec, trust_remote_code=trust_remote_code) for spec in specs}
        self._options = retriever
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._channels: dict[str, Channel] = {}
        self._pages = _Rows()
        self.mteb_model_meta = _meta(self._encoders)

    def index(self, corpus: Any, **_: Any) -> None:
        """Take a corpus in, in place of the one before. ``corpus``: a ``datasets.Dataset``."""
        self._close()
        self._folder = tempfile.TemporaryDirectory(prefix="folioscope-mteb-")
        self._pages = _Rows()
        for spec, encoder in self._encoders.items():
            name = channel_of(spec)
            pooled = encoder.fingerprint.kind == "multi" and reads_images(spec)
            place = Path(self._folder.name) / name
            self._channels[name] = Channel(name, encoder, open_index(place, encoder.fingerprint, pooled=pooled))
        size = max(encoder.batch_size for encoder in self._encoders.values())
        for start in range(0, len(corpus), size):
            pages = [self._pages.take(dict(corpus[number])) for number in range(start, min(start + size, len(corpus)))]
            for channel in self._channels.values():
                channel.add(pages)
        for channel in self._channels.values():
            channel.flush()

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Mapping[str, Sequence[str]] | None = None, **_: Any
    ) -> dict[str, dict[str, float]]:
        """Query id -> corpus id -> score. ``top_ranked``: of reranking tasks, the candidates of each query."""
        retriever = Retriever(self._channels, self._pages, candidates=max(top_k, 200), **self._options)
        found = {}
        for row in queries:
            among = None if top_ranked is None else self._pages.where(top_ranked[row["id"]])
            result = retriever.search(_query(row), top_k, among, regions=False)
            found[row["id"]] = {self._pages.names[hit.document.id]: hit.score for hit in result.hits}
        return found

    def _close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self._channels = {}
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Searching:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


class _Rows:
    """The rows of a corpus as a `folioscope.ports.PageStore`: documents of one page."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # our document's id -> the corpus' id
        self._ids: dict[str, str] = {}

    def take(self, row: Mapping[str, Any]) -> PageInput:
        """The row as a page; its words are not kept."""
        document = f"doc_{len(self.names)}"
        self.names[document] = str(row["id"])
        self._ids[str(row["id"])] = document
        text = " ".join(part for name in ("title", "text") if (part := row.get(name)))
        return PageInput(PageKey(document, 1, 1), "", _words(text), _image(row.get("image")))

    def where(self, names: Iterable[str]) -> Any:
        """Only these rows."""
        from folioscope.domain import Where

        return Where(frozenset(self._ids[name] for name in names))

    def current(self, document_ids: Iterable[str]) -> Mapping[str, DocumentRef]:
        """See `folioscope.ports.PageStore`."""
        return {name: DocumentRef(name, 1, self.names[name], 1) for name in document_ids}

    def tagged(self, metadata: Metadata) -> frozenset[str]:  # noqa: ARG002
        """None: rows have no metadata."""
        return frozenset()

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """None: snippets and regions are not asked for."""
        return {key: Words.empty() for key in keys}

    def coverage(self) -> Mapping[str, Coverage]:
        """Every channel has every row."""
        return {}


def _words(text: str) -> Words:
    """On one line; where on the page is not known."""
    texts = text.split()
    if not texts:
        return Words.empty()
    zeros = np.zeros(len(texts), np.int32)
    return Words(texts, np.zeros((len(texts), 4), np.float32), zeros, zeros, "text-layer")


def _image(image: Any) -> Callable[[int], NDArray[np.uint8]] | None:
    """``image``: a ``PIL.Image`` -> what `PageInput` wants; made smaller to the long edge, never larger."""
    if image is None:
        return None

    def draw(long_edge: int) -> NDArray[np.uint8]:
        page = image.convert("RGB")
        page.thumbnail((long_edge, long_edge))
        return np.asarray(page)

    return draw


def _query(row: Mapping[str, Any]) -> str:
    if not (text := row.get("text") or row.get("query")):
        raise EvaluationError(f"The query {row.get('id')} has no text.", hint="Tasks that ask with text can be run.")
    return str(text)


def _meta(encoders: Mapping[str, Any]) -> Any:
    """What mteb writes into its results: the encoders, their revisions, and that our fusion joins them."""
    try:
        from mteb.models.model_meta import ModelMeta
    except ImportError:
        raise EvaluationError(
            "mteb is not installed.", hint="Install it: pip install 'folioscope[mteb]' (it brings torch)."
        ) from None
    import_torch()  # mteb imports it, and with it torchvision, when it evaluates
    prints = [encoder.fingerprint for encoder in encoders.values()]
    name = "+".join("-".join(_parts(spec)) for spec in encoders)
    kinds = [KINDS[found.kind] for found in prints] if len(prints) == 1 else ["hybrid"]
    sees = any(reads_images(spec) for spec in encoders)
    return ModelMeta.create_empty(
        {
            "name": f"folioscope/{name}",
            "revision": f"{folioscope.__version__}-{VERSION}-" + "-".join(found.revision for found in prints),
            "model_type": kinds,
            "modalities": ["text", "image"] if sees else ["text"],
            "embed_dim": prints[0].dim or None,
        }
    )


def _parts(spec: str) -> Iterator[str]:
    """The spec in letters that a folder's name may have; of a folder its last part."""
    for part in spec.split(":"):
        yield part.rstrip("/").rpartition("/")[2].replace(" ", "_")
