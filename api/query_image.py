"""An image that is searched or asked with, over HTTP: uploaded, or in a ``data:`` URL. A child process decodes it."""

from __future__ import annotations

import base64
import contextlib
import io
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from api.schemas.answers import SearchIn
from folioscope.domain import PageKey, Region, SearchResult, Where, Words
from folioscope.errors import QueryError, TooLarge
from ingest import Library
from retrieval import Retriever

MOST_MB = 20
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "format": "binary", "description": "an image, or a PDF"},
                    "search": {"type": "string", "description": "what /v1/search takes, as JSON; nothing: the default"},
                },
            }
        }
    },
}


@contextlib.asynccontextmanager
async def form(request: Request) -> AsyncIterator[tuple[BinaryIO, SearchIn]]:
    """The uploaded file, which the system removes when it is closed, and what to search beside it.

    Raises `QueryError`, ``RequestValidationError``.
    """
    # Read here and not by a parameter, so that nobody without a key fills the disk.
    async with request.form(max_files=1, max_fields=1, max_part_size=1 << 16) as given:
        file, search = given.get("image"), given.get("search", "{}")
        if not isinstance(file, UploadFile) or not isinstance(search, str):
            raise QueryError("There is no image in the form.", hint="Send it as the part `image`.")
        if given.keys() - {"image", "search"}:
            raise QueryError("The form has an unknown field.", hint="It takes `image` and `search`.")
        try:
            asked = SearchIn.model_validate_json(search)
        except ValidationError as error:
            raise RequestValidationError(
                [{**each, "loc": ("search", *each["loc"])} for each in error.errors()]
            ) from None
        if asked.image is not None:
            raise QueryError("There are two images.", hint="Send one, as the part `image`.")
        yield file.file, asked


def decoded(library: Library, url: str) -> NDArray[np.uint8]:
    """The image in a ``data:`` URL, uint8 [h, w, 3] RGB. Raises `QueryError`, `TooLarge`."""
    head, _, encoded = url.partition(",")
    if not (head.lower().startswith("data:") and head.lower().endswith(";base64")):
        raise QueryError("An image is sent as data:<media type>;base64,<data>; nothing is fetched from elsewhere.")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise QueryError("The image is no base64.") from None
    return read(library, io.BytesIO(data))


def read(library: Library, file: BinaryIO) -> NDArray[np.uint8]:
    """An image, or a PDF's first page, uint8 [h, w, 3] RGB. Raises `QueryError`, `TooLarge`."""
    if file.seek(0, 2) > MOST_MB << 20:
        raise TooLarge(f"The image has more than {MOST_MB} MB.")
    file.seek(0)
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(file.read())
        copy.flush()
        return library.read_image(Path(copy.name), called="The image")


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
