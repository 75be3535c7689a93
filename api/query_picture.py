"""An image that a question is asked with, over OpenAI's interface."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import PageKey, Region, SearchResult, Where, Words
from folioscope.errors import QueryError
from ingest import Library
from retrieval import Retriever


@dataclass(frozen=True, slots=True)
class Beside:
    """A `Searcher` that looks for pages like an image, beside the words. ``image``: uint8 [h, w, 3] RGB."""

    retriever: Retriever
    image: NDArray[np.uint8]

    def search(self, query: str, k: int = 5, where: Where | None = None) -> SearchResult:
        """As `Retriever.search` with the image. Raises `QueryError` where no channel can be asked with one."""
        return self.retriever.search(query, k, where, image=self.image)

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """As the retriever's."""
        return self.retriever.words(keys)

    def seen(self, key: PageKey, query: str) -> tuple[Region, ...]:
        """As the retriever's."""
        return self.retriever.seen(key, query)


def picture(library: Library, url: str) -> NDArray[np.uint8]:
    """The image in a ``data:`` URL, uint8 [h, w, 3] RGB, decoded in a child process. Nothing is ever fetched.

    Raises `QueryError`.
    """
    scheme, comma, data = url.partition(",")
    if not (scheme.lower().startswith("data:") and scheme.lower().endswith(";base64") and comma):
        raise QueryError("An image is sent as data:<media type>;base64,<data>; nothing is fetched from elsewhere.")
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise QueryError("The image's data is no base64.") from None
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(decoded)
        copy.flush()
        try:
            return library.read_image(Path(copy.name))
        except QueryError as error:  # its words name the copy
            raise QueryError("The image can't be read: no image format that is known here, or damaged.") from error
