"""A channel: one way of finding pages, an encoder and the index of its vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from folioscope import telemetry
from folioscope.domain import PageInput, PageKey, ScoredPage, Vector
from folioscope.errors import FingerprintMismatch
from folioscope.ports import Encoder, ImageQueries, PageIndex


class Channel:
    """Pages in, pages found.

    Raises `FingerprintMismatch` where the index holds another encoder's vectors.
    """

    def __init__(self, name: str, encoder: Encoder, index: PageIndex) -> None:
        if encoder.fingerprint != index.fingerprint:
            raise FingerprintMismatch(
                f"The index of the channel {name!r} holds vectors of {index.fingerprint}, "
                f"its encoder is {encoder.fingerprint}.",
                hint="Open it with the encoder that it was made with, or make a new index.",
            )
        self.name = name
        self.encoder = encoder
        self.index = index

    def encode(self, pages: Sequence[PageInput]) -> list[tuple[PageKey, Vector]]:
        """The pages as points for `upsert`; a page with nothing to encode is skipped."""
        with telemetry.working("encode", len(pages), self.name):
            vectors = self.encoder.encode_pages(pages)
        pairs = zip(pages, vectors, strict=True)
        return [(page.key, vector) for page, vector in pairs if vector is not None]

    def upsert(self, points: Iterable[tuple[PageKey, Vector]]) -> None:
        """Write points; the same key again replaces. Durable after `flush`."""
        points = list(points)
        with telemetry.working("index", len(points), self.name):
            self.index.upsert(points)

    def add(self, pages: Sequence[PageInput]) -> None:
        """Encode pages and write them. Durable after `flush`."""
        self.upsert(self.encode(pages))

    def search(self, query: str, limit: int, documents: frozenset[str] | None = None) -> list[ScoredPage]:
        """The nearest pages, best first, at most ``limit``; none when the query says nothing to this channel."""
        vector = self.question(query)
        return [] if vector is None else self.index.search(vector, limit, documents)

    @property
    def takes_images(self) -> bool:
        """Whether it can be asked with an image."""
        return isinstance(self.encoder, ImageQueries)

    def question(self, query: str, image: NDArray[np.uint8] | None = None) -> Vector | None:
        """What the index is searched with: the image, if the channel takes one, else the words.

        ``image``: uint8 [height, width, 3] RGB. None when the words say nothing to this channel.
        """
        if image is not None and isinstance(self.encoder, ImageQueries):
            return self.encoder.encode_image_query(image)
        return self.encoder.encode_query(query)

    def delete(self, document_id: str, version: int | None = None) -> None:
        """Remove a document's pages, of one version or of all. Durable after `flush`."""
        self.index.delete(document_id, version)

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        self.index.flush()

    def close(self) -> None:
        """Close the index."""
        self.index.close()
