"""PDF pages, through PyMuPDF. This is the only module that imports it.

Words come in the order of the content stream: on 44 reports, papers, filings and brochures it went against the
columns 0 to 1.4 times a page, mostly at running heads, while sorting by height mixes columns. One display list serves
words and raster; it is already upright and starts at the crop box, so boxes need no rotation of ours.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import pymupdf
from numpy.typing import NDArray

from folioscope.domain import Page, PageFlag, Words
from folioscope.errors import Corrupt, Encrypted, NoPages, OcrFailed, TooManyPages
from ingest.sources import PDF, Recognise, scale_within

# Without PRESERVE_LIGATURES "ﬁ" comes as "fi"; without CID_FOR_UNKNOWN_UNICODE a glyph that has no Unicode value comes
# as U+FFFD and not as some other letter.
FLAGS = pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_PRESERVE_WHITESPACE
SPACES = "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\x85"
OTHER_SPACE = re.compile(f"[{SPACES}]")
UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff\s]")
MEANINGLESS = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")
LITTLE_TEXT = 250  # characters over a page-filling image: a stamp or a running head on a scan
PAGE_FILLING = 0.6  # share of the page
OCR_DPI = 250  # tesseract finds 3 % more known words than at 150 or 200 in 3 % more time; 300 costs 18 % more again
OCR_PIXELS = 20_000_000
INK = 4  # grey levels between the lightest and the darkest pixel of a raster that shows something


class PdfSource:
    """An opened PDF. Raises `Encrypted`, `Corrupt`, `NoPages`, `TooManyPages`."""

    media_type = PDF

    def __init__(self, file: BinaryIO, password: str | None, *, max_pages: int, max_pixels: int) -> None:
        self._pdf = _open(file, password)
        file.close()  # what is mapped stays
        self._max_pixels = max_pixels
        self.page_count = _count_pages(self._pdf)
        if self.page_count > max_pages:
            raise TooManyPages(
                f"The document has {self.page_count} pages; the limit is {max_pages}.",
                hint="Split it, or raise the setting max_pages.",
            )
        if not any(_loads(self._pdf, index) for index in range(self.page_count)):
            raise Corrupt("None of the pages that the PDF promises can be found.", hint=GET_AGAIN)

    def read(self, number: int, recognise: Recognise | None) -> Page:
        """See `Source`. Raises `Corrupt`, `OcrFailed` and what PyMuPDF raises."""
        page = self._pdf[number - 1]
        drawing = page.get_displaylist()
        width, height = _size(drawing, number)
        layer = _words(drawing, width, height)
        flags: tuple[PageFlag, ...] = ()
        if layer and not _meaningless(layer.texts):
            if not _shows_some(drawing, layer):
                flags = ("blank_render",)
            if not _is_scan(page, layer.texts, width * height):
                return Page(number, width, height, layer, flags)
        else:
            layer = Words.empty()
            if not _shows(drawing, drawing.rect, 256 / max(width, height)):
                return Page(number, width, height, layer)
        words = self._recognised(drawing, width, height, layer, recognise) if recognise else layer
        return Page(number, width, height, words, flags if len(words) else ("no_words",))

    def _recognised(self, drawing: Any, width: float, height: float, layer: Words, recognise: Recognise) -> Words:
        scale = scale_within(width, height, OCR_DPI / 72, min(self._max_pixels, OCR_PIXELS))
        try:
            found = recognise(_raster(drawing, scale, pymupdf.csGRAY)[:, :, 0], 72 * scale)
        except OcrFailed:
            if not layer:
                raise
            return layer
        return merge(found, layer)

    def render(self, number: int, long_edge: int) -> NDArray[np.uint8]:
        """See `Source`."""
        drawing = self._pdf[number - 1].get_displaylist()
        width, height = _size(drawing, number)
        scale = scale_within(width, height, long_edge / max(width, height), self._max_pixels)
        return _raster(drawing, scale, pymupdf.csRGB)

    def close(self) -> None:
        """Release the file and what MuPDF keeps of it."""
        self._pdf.close()
        pymupdf.TOOLS.store_shrink(100)


# --- the file -------------------------------------------------------------------------------------------------------

GET_AGAIN = "Open it in a PDF reader and save it anew, or get it again from where it came from."


def _open(file: BinaryIO, password: str | None) -> Any:
    # MuPDF opens a name or memory, and inside the sandbox there are no names. Pages of the file that it does not look
    # at are not read; none of it is copied.
    mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    try:
        pdf = pymupdf.open(stream=memoryview(mapped), filetype="pdf")
    except Exception as error:
        if "PubSec" in f"{error} {error.__cause__}":
            raise Encrypted(
                "The PDF is encrypted for the holders of certain certificates.",
                hint="Save a copy without encryption in a program that has the certificate.",
            ) from None
        if isinstance(error, pymupdf.mupdf.FzErrorBase | RuntimeError) and not _out_of_memory(error):
            raise Corrupt("The PDF can't be opened, even after an attempt to repair it.", hint=GET_AGAIN) from None
        raise
    if pdf.needs_pass and not pdf.authenticate(password or ""):
        if password:
            raise Encrypted("The password does not open this PDF.", hint="Give another one with --password.")
        raise Encrypted("The PDF needs a password.", hint="Give it with --password, over HTTP in the field `password`.")
    return pdf


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "alloc" in str(error)


def _count_pages(pdf: Any) -> int:
    try:
        count = int(pdf.page_count)
    except RuntimeError:
        count = 0
    if count > 0:
        return count
    if not pdf.is_repaired and pdf.xref_get_key(pdf.pdf_catalog(), "Pages/Kids") == ("array", "[]"):
        raise NoPages("The PDF has no page.")
    raise Corrupt("The PDF's pages can't be found: its page tree is broken.", hint=GET_AGAIN)


def _loads(pdf: Any, index: int) -> bool:
    try:
        pdf.load_page(index)
    except (RuntimeError, ValueError, pymupdf.mupdf.FzErrorBase):
        return False
    return True


# --- a page ---------------------------------------------------------------------------------------------------------


def _size(drawing: Any, number: int) -> tuple[float, float]:
    left, top, right, bottom = drawing.rect
    width, height = float(right - left), float(bottom - top)
    if not (0 < width < 1e6 and 0 < height < 1e6):
        raise Corrupt(f"Page {number} says that it is {width:g} x {height:g} points large.", hint=GET_AGAIN)
    return width, height


def _words(drawing: Any, width: float, height: float) -> Words:
    text = pymupdf.TextPage(drawing.get_textpage(FLAGS))
    rows = text.extractWORDS()
    if not rows:
        return Words.empty()
    if OTHER_SPACE.search("".join([row[4] for row in rows])) is not None:
        rows = text.extractWORDS(SPACES)  # which takes twice the time
    x0, y0, x1, y1, texts, block, line, _ = zip(*rows, strict=True)
    boxes: NDArray[np.float32] = np.array((x0, y0, x1, y1), np.float32).T
    boxes -= np.array(tuple(drawing.rect)[:2] * 2, np.float32)
    boxes /= np.array((width, height) * 2, np.float32)
    blocks = np.array(block, np.int32)
    return tidy(texts, boxes, _numbered(blocks, np.array(line, np.int32)), blocks)


def _numbered(*parts: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 [n], growing by 1 where any of the parts changes."""
    turns = np.zeros(len(parts[0]), bool)
    for part in parts:
        turns[1:] |= part[1:] != part[:-1]
    return np.cumsum(turns, dtype=np.int32)


def tidy(
    texts: Sequence[str], boxes: NDArray[np.float32], lines: NDArray[np.int32], blocks: NDArray[np.int32]
) -> Words:
    """Text-layer words whose texts survive UTF-8, JSON and databases and whose boxes lie on the page.

    Control characters, white space, invisible marks and lone surrogates go; words wholly off the page go with them.
    """
    if UNWANTED.search("".join(texts)) is not None:
        texts = [UNWANTED.sub("", text) for text in texts]
    with np.errstate(invalid="ignore"):
        keep = (boxes[:, 0] < 1) & (boxes[:, 1] < 1) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    keep &= np.isfinite(boxes).all(axis=1)
    if "" in texts:
        keep &= np.array([bool(text) for text in texts], bool)
    if not keep.all():
        texts = [text for text, kept in zip(texts, keep.tolist(), strict=True) if kept]
        boxes, lines, blocks = boxes[keep], lines[keep], blocks[keep]
    if not texts:
        return Words.empty()
    return Words(texts, boxes.clip(0, 1), lines, blocks, "text-layer")


def _meaningless(texts: Sequence[str]) -> bool:
    """Whether half of the characters or more stand for glyphs of which nobody knows what they mean."""
    text = "".join(texts)
    return 2 * len(MEANINGLESS.findall(text)) >= len(text)


def _is_scan(page: Any, texts: Sequence[str], area: float) -> bool:
    if sum(map(len, texts)) > LITTLE_TEXT:
        return False
    covered = 0.0
    for image in page.get_image_info():
        shown = pymupdf.Rect(image["bbox"]) * page.rotation_matrix & page.rect  # the image's box is not rotated yet
        covered += 0.0 if shown.is_empty else shown.get_area()
    return covered >= PAGE_FILLING * area


def merge(found: Words, layer: Words) -> Words:
    """OCR's words, followed by those of the text layer where OCR saw nothing."""
    if not len(layer) or not len(found):
        return found if len(found) else layer
    x, y = (layer.boxes[:, :2] + layer.boxes[:, 2:]).T / 2
    inside = (found.boxes[:, None, 0] <= x) & (x <= found.boxes[:, None, 2])
    inside &= (found.boxes[:, None, 1] <= y) & (y <= found.boxes[:, None, 3])
    alone = ~inside.any(axis=0)
    return Words(
        [*found.texts, *(text for text, kept in zip(layer.texts, alone.tolist(), strict=True) if kept)],
        np.concatenate([found.boxes, layer.boxes[alone]]),
        np.concatenate([found.lines, layer.lines[alone] + found.lines[-1] + 1]),
        np.concatenate([found.blocks, layer.blocks[alone] + found.blocks[-1] + 1]),
        "ocr",
    )


# --- rasters --------------------------------------------------------------------------------------------------------


def _raster(drawing: Any, scale: float, colours: Any, clip: Any = None) -> NDArray[np.uint8]:
    """uint8 [height, width, channels]."""
    matrix = pymupdf.Matrix(scale, scale)
    pixmap = drawing.get_pixmap(matrix=matrix, colorspace=colours, alpha=False, clip=clip)
    rows = np.frombuffer(pixmap.samples_mv, np.uint8).reshape(pixmap.height, pixmap.stride)
    return rows[:, : pixmap.width * pixmap.n].reshape(pixmap.height, pixmap.width, pixmap.n).copy()


def _shows(drawing: Any, clip: Any, scale: float) -> bool:
    raster = _raster(drawing, scale, pymupdf.csGRAY, clip)
    return raster.size > 0 and int(raster.max()) - int(raster.min()) >= INK


def _shows_some(drawing: Any, words: Words) -> bool:
    """Whether a render of these words shows anything.

    A raster of the middle word alone settles most pages at a tenth of the cost of a raster of the whole page.
    """
    page = drawing.rect
    x0, y0, x1, y1 = words.boxes[len(words) // 2].tolist()
    word = pymupdf.Rect(x0, y0, x1, y1) * pymupdf.Matrix(page.width, 0, 0, page.height, page.x0, page.y0)
    if not word.is_empty and _shows(drawing, word, min(1.0, 8 / word.height)):
        return True
    return _shows(drawing, page, 256 / max(page.width, page.height))
