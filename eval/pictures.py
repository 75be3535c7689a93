"""Pages with what was found on them, for notebooks: ``show(library.retriever().search("…"), library)``."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from folioscope import html
from folioscope.domain import Answer, Box, Citation, PageHit, Region, SearchResult
from folioscope.errors import FolioscopeError
from generation import draw

if TYPE_CHECKING:
    from ingest import Library

SEEN = (190, 205, 255)
"""RGB of what a model saw; words that were found and quotes have the marker's yellow."""

SIDE_BY_SIDE = 320  # pixels of the longer side: to tell pages apart
TO_READ = 900  # to read what is marked

QUALITY = 60  # of WebP


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of HTML that shows itself in a notebook."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def show(found: SearchResult | PageHit | Answer | Citation, library: Library, *, long_edge: int | None = None) -> Shown:
    """What was found, with images of its pages and marks on them; a page that can't be drawn says why.

    ``long_edge``: pixels of a page image's longer side. The pages are drawn now, so that the library may be closed.
    """
    several = isinstance(found, SearchResult)
    drawing = partial(_page, library, long_edge or (SIDE_BY_SIDE if several else TO_READ))
    if isinstance(found, SearchResult):
        return Shown(html.result(found, drawing))
    if isinstance(found, PageHit):
        return Shown(html.hit(found, drawing))
    if isinstance(found, Citation):
        return Shown(f"<p>{html.quote(found)}</p>" + html.citation([found], drawing))
    return Shown(html.answer(found, drawing))


def gallery(images: Mapping[str, NDArray[np.uint8]], *, long_edge: int = SIDE_BY_SIDE) -> Shown:
    """Images, uint8 [height, width, 3] RGB, side by side, each under its caption."""
    return Shown(html.row([f"<p>{escape(said)}</p>{element(image, long_edge)}" for said, image in images.items()]))


def element(image: NDArray[np.uint8], long_edge: int) -> str:
    """An ``<img>`` that holds the image, uint8 [height, width, 3] RGB, itself; made smaller where it is larger."""
    return f'<img src="{data_url(image, long_edge)}" alt="">'


def data_url(image: NDArray[np.uint8], long_edge: int) -> str:
    """The image as a data URL: WebP, its longer side at most ``long_edge`` pixels."""
    from PIL import Image

    small = Image.fromarray(image)
    small.thumbnail((long_edge, long_edge))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _page(library: Library, long_edge: int, found: PageHit | Citation, marks: Sequence[Box | Region]) -> str:
    """The page in twice the size, marked, then made smaller: thin marks stay."""
    try:
        image = library.page_image(found, 2 * long_edge)
    except FolioscopeError as error:
        return f"<p>{escape(str(error))}</p>"
    seen = [mark.box for mark in marks if isinstance(mark, Region) and mark.kind == "similarity"]
    words = [
        mark.box if isinstance(mark, Region) else mark
        for mark in marks
        if not isinstance(mark, Region) or mark.kind == "text_match"
    ]
    return element(draw(draw(image, seen, colour=SEEN), words), long_edge)
