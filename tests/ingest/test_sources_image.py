from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from folioscope.errors import Corrupt, TooLarge, TooManyPages
from ingest.sources import Source, open_source


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


OPEN: list[Source] = []


def opened(path: Path, *, max_pages: int = 100, max_pixels: int = 4_000_000) -> Source:
    OPEN.append(open_source(path, None, max_pages=max_pages, max_pixels=max_pixels))
    return OPEN[-1]


def picture(mode: str = "RGB") -> Image.Image:
    """60 x 40, its left upper quarter dark."""
    image = Image.new("RGB", (60, 40), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 29, 19), fill=(20, 30, 40))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("TIFF", "image/tiff"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
    ],
)
def test_formats_are_known_by_content(tmp_path: Path, kind: str, media_type: str) -> None:
    path = tmp_path / "wrong-name.pdf"
    picture().save(path, kind)
    source = opened(path)
    assert (source.media_type, source.page_count) == (media_type, 1)
    page = source.read(1, None)
    assert (page.width, page.height, page.flags) == (60, 40, ("no_words",))
    image = source.render(1, 120)
    assert image.shape == (80, 120, 3)
    assert image[10:30, 10:50].max() < 80
    assert image[50:, 70:].min() > 200


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "I", "F", "LA", "RGBA", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tiff"
    if mode == "I;16":
        image = Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257)
    elif mode == "LA":
        image = picture("L").convert("LA")
    else:
        image = picture(mode)
    image.save(path)
    rendered = opened(path).render(1, 60)
    assert rendered.shape == (40, 60, 3)
    assert rendered[5, 5].max() < 60
    assert rendered[30, 50].min() > 240


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 9, 19), fill=(0, 0, 0, 255))
    (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    rendered = opened(path).render(1, 20)
    assert rendered[10, 4].max() < 10
    assert rendered[10, 15].min() > 245


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (1, 1)), (6, (0, 1)), (8, (1, 0))])
def test_exif_orientation(tmp_path: Path, orientation: int, corner: tuple[int, int]) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(path, exif=exif)
    source = opened(path)
    page, image = source.read(1, None), source.render(1, 60)
    assert (page.height, page.width) == image.shape[:2] == ((60, 40) if orientation in (6, 8) else (40, 60))
    dark = [(row, column) for row in (0, 1) for column in (0, 1) if image[-row, -column].max() < 80]
    assert dark == [corner]


def test_a_tiff_has_a_page_for_each_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    frames = [Image.new("L", (30 + 10 * n, 20), 255 - 100 * n) for n in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    source = opened(path)
    assert source.page_count == 3
    assert [source.read(number, None).width for number in (3, 1, 2)] == [50, 30, 40]
    assert source.read(2, None).flags == ()  # one colour all over
    assert source.render(3, 50)[0, 0, 0] == 55
    with pytest.raises(TooManyPages):
        opened(path, max_pages=2)


def test_an_animated_gif_shows_its_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    Image.new("L", (20, 20), 10).save(path, save_all=True, append_images=[Image.new("L", (20, 20), 200)])
    source = opened(path)
    assert source.page_count == 1
    assert source.render(1, 20).max() < 20


def test_large_images_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (4000, 1001)).save(path)
    content = bytearray(path.read_bytes())
    content[60:] = b""  # size known, pixels gone: decoding would fail as corrupt
    path.write_bytes(content)
    with pytest.raises(TooLarge, match="4000 x 1001 pixels; the limit is 4 million"):
        opened(path)


def test_later_frames_are_measured_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("1", (20, 20)).save(path, save_all=True, append_images=[Image.new("1", (4000, 1001))])
    source = opened(path)
    assert source.read(1, None).problem is None
    with pytest.raises(TooLarge):
        source.read(2, None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_cut_files_are_corrupt(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "a"
    noise = np.random.default_rng(1).integers(0, 255, (80, 80, 3), np.uint8)
    Image.fromarray(noise).save(path, kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Corrupt) as error:
        opened(path).read(1, None)
    assert str(tmp_path) not in str(error.value)
