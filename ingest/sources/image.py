"""Image files as pages, through Pillow: a page for each frame of a TIFF, one page otherwise."""

from __future__ import annotations

import warnings
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from folioscope.domain import Page, Words
from folioscope.errors import Corrupt, TooLarge, TooManyPages
from ingest.sources import Recognise, scale_within

OCR_PIXELS = 20_000_000
SMALL = 1500  # pixels on the longer side: a page that small has letters too small for OCR engines
INK = 4  # grey levels
BROKEN = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError)
GET_AGAIN = "Open it in an image viewer and save it anew, or get it again from where it came from."


class ImageSource:
    """An opened image file. Raises `Corrupt`, `TooLarge`, `TooManyPages`."""

    def __init__(self, file: BinaryIO, media_type: str, *, max_pages: int, max_pixels: int) -> None:
        self.media_type = media_type
        self._max_pixels = max_pixels
        self._file = file
        self._image = self._open()
        self._check_size(self._image.size)
        self.page_count = self._count_frames()
        if self.page_count > max_pages:
            raise TooManyPages(f"The image has {self.page_count} frames; the limit is {max_pages} pages.")

    def _open(self) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # sizes are checked here, odd metadata does no harm
                return Image.open(self._file, formats=[self.media_type.removeprefix("image/")])
        except Image.DecompressionBombError as error:
            raise TooLarge(str(error)) from None
        except UnidentifiedImageError:  # its message names the file object
            raise Corrupt("The image is damaged or of a kind that is not understood.", hint=GET_AGAIN) from None
        except BROKEN as error:
            raise Corrupt(f"The image can't be opened: {error}.", hint=GET_AGAIN) from None

    def _count_frames(self) -> int:
        try:
            return int(getattr(self._image, "n_frames", 1)) if self.media_type == "image/tiff" else 1
        except BROKEN as error:
            raise Corrupt(f"The frames of the image can't be counted: {error}.", hint=GET_AGAIN) from None

    def _check_size(self, size: tuple[int, int]) -> None:
        """Before any pixel is decoded."""
        width, height = size
        if width < 1 or height < 1:
            raise Corrupt(f"The image says that it is {width} x {height} pixels large.", hint=GET_AGAIN)
        if width * height > self._max_pixels:
            raise TooLarge(
                f"The image has {width} x {height} pixels; the limit is {self._max_pixels / 1e6:g} million.",
                hint="Make it smaller, or raise the setting max_pixels.",
            )

    def _decode(self, number: int) -> Image.Image:
        """Frame ``number`` as upright RGB, transparent parts on white."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._image.seek(number - 1)
                self._check_size(self._image.size)
                self._image.load()
                self._check_size(self._image.size)  # a GIF's frame may be larger than its canvas
                return _rgb(ImageOps.exif_transpose(self._image))
        except Image.DecompressionBombError as error:
            raise TooLarge(str(error)) from None
        except BROKEN as error:
            raise Corrupt(f"The image's data are damaged: {error}.", hint=GET_AGAIN) from None

    def read(self, number: int, recognise: Recognise | None) -> Page:
        """See `Source`. ``width`` and ``height`` are pixels. Raises `Corrupt`, `TooLarge`, `OcrFailed`."""
        image = self._decode(number)
        width, height = image.size
        grey = image.convert("L")
        pixels = np.asarray(grey)
        if int(pixels.max()) - int(pixels.min()) < INK:
            return Page(number, width, height, Words.empty())
        words = recognise(np.asarray(self._sized_for_ocr(grey)), 0.0) if recognise else Words.empty()
        return Page(number, width, height, words, () if len(words) else ("no_words",))

    def _sized_for_ocr(self, grey: Image.Image) -> Image.Image:
        wanted = 2.0 if max(grey.size) < SMALL else 1.0
        return _scaled(grey, scale_within(*grey.size, wanted, min(self._max_pixels, OCR_PIXELS)))

    def render(self, number: int, long_edge: int) -> NDArray[np.uint8]:
        """See `Source`."""
        image = self._decode(number)
        scale = scale_within(*image.size, long_edge / max(image.size), self._max_pixels)
        return np.array(_scaled(image, scale))

    def close(self) -> None:
        """Release the file."""
        self._image.close()
        self._file.close()


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    width, height = image.size
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """16-bit samples keep their scale, unless 8 bits hold them; others are stretched over their own range."""
    if grey.dtype.itemsize == 2:
        wide = grey.astype(np.uint16)
        return (wide // (256 if wide.max() > 255 else 1)).astype(np.uint8)
    values = np.nan_to_num(grey.astype(np.float64))
    low, high = float(values.min()), float(values.max())
    return np.multiply(values - low, 255 / (high - low) if high > low else 0.0).astype(np.uint8)
