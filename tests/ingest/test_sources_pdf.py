from collections.abc import Callable
from pathlib import Path

import numpy as np
import pymupdf
import pytest

from folioscope.domain import Words
from folioscope.errors import Corrupt, EmptyFile, Encrypted, NoPages, TooManyPages, UnsupportedType
from ingest.sources import Source, detect, open_source
from ingest.sources.pdf import merge, tidy

Make = Callable[[pymupdf.Document], None]


def opened(path: Path, password: str | None = None, *, max_pages: int = 100, max_pixels: int = 10_000_000) -> Source:
    return open_source(path, password, max_pages=max_pages, max_pixels=max_pixels)


def written(path: Path, make: Make, **options: object) -> Path:
    with pymupdf.open() as pdf:
        make(pdf)
        pdf.save(path, **options)
    return path


def one_page(path: Path, draw: Callable[[pymupdf.Page], object], width: float = 400, height: float = 500) -> Path:
    return written(path, lambda pdf: draw(pdf.new_page(width=width, height=height)))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (50, 80, 350, 480)])
def test_boxes_lie_on_the_ink_of_the_upright_page(
    tmp_path: Path, rotation: int, crop: tuple[float, ...] | None
) -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((100, 150), "Upper", fontsize=20)
        page.insert_text((220, 400), "Lower", fontsize=20)
        if crop:
            page.set_cropbox(pymupdf.Rect(crop))
        page.set_rotation(rotation)

    source = opened(one_page(tmp_path / "a.pdf", draw))
    page = source.read(1, None)
    image = source.render(1, 1000)
    assert max(image.shape[:2]) == pytest.approx(1000, abs=1)
    assert page.width / page.height == pytest.approx(image.shape[1] / image.shape[0], abs=0.01)
    assert list(page.words.texts) == ["Upper", "Lower"]
    left, top, right, bottom = crop or (0, 0, 400, 500)
    for (x, y), box in zip([(100, 150), (220, 400)], page.words.boxes, strict=True):
        u, v = (x - left) / (right - left), (y - top) / (bottom - top)  # the start of the word before rotation
        where = {0: (u, v), 90: (1 - v, u), 180: (1 - u, 1 - v), 270: (v, 1 - u)}[rotation]
        corners = box.reshape(2, 2)
        assert np.abs(corners - where).min(axis=0).max() < 0.02
        x0, y0, x1, y1 = box * np.tile(image.shape[1::-1], 2)
        assert image[int(y0) : int(y1), int(x0) : int(x1)].min() < 60
    dark = np.argwhere(image.min(axis=2) < 60) / image.shape[:2]
    inside = [((dark >= box[[1, 0]] - 0.003) & (dark <= box[[3, 2]] + 0.003)).all(axis=1) for box in page.words.boxes]
    assert np.logical_or(*inside).all()


def test_words_off_the_crop_are_dropped_and_boxes_clipped(tmp_path: Path) -> None:
    def draw(page: pymupdf.Page) -> None:
        for x, text in ((10, "outside"), (85, "halfway"), (200, "inside")):
            page.insert_text((x, 100), text, fontsize=20)
        page.set_cropbox(pymupdf.Rect(100, 50, 400, 500))

    words = opened(one_page(tmp_path / "a.pdf", draw)).read(1, None).words
    assert "outside" not in words.texts
    assert "inside" in words.texts
    assert words.boxes.min() >= 0
    assert words.boxes.max() <= 1


def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left = [f"left{n}" for n in range(20)]
    right = [f"right{n}" for n in range(20)]

    def draw(page: pymupdf.Page) -> None:
        page.insert_text((40, 60), left, fontsize=11)
        page.insert_text((220, 60), right, fontsize=11)

    words = opened(one_page(tmp_path / "a.pdf", draw)).read(1, None).words
    assert list(words.texts) == left + right
    assert len(set(words.lines.tolist())) == 40
    assert len(set(words.blocks.tolist())) >= 2


def test_ligatures_are_expanded(tmp_path: Path) -> None:
    def draw(page: pymupdf.Page) -> None:
        writer = pymupdf.TextWriter(page.rect)
        writer.append((40, 60), "e\ufb03cient \ufb01gures", font=pymupdf.Font("helv"))
        writer.write_text(page)

    path = one_page(tmp_path / "a.pdf", draw)
    assert "\ufb01gures" in pymupdf.open(path)[0].get_text()
    assert list(opened(path).read(1, None).words.texts) == ["efficient", "figures"]


def test_words_survive_utf8_and_databases() -> None:
    texts = ["a\x00b", "\x07", "\ud800x", "\u200b", "plain", "wide\u3000space", "nan"]
    boxes = np.tile(np.array([0.1, 0.1, 1.2, 0.2], np.float32), (7, 1))
    boxes[6, 0] = np.nan
    numbers = np.arange(7, dtype=np.int32)
    words = tidy(texts, boxes, numbers, numbers)
    assert list(words.texts) == ["ab", "x", "plain", "widespace"]
    assert words.lines.tolist() == [0, 2, 4, 5]
    assert words.boxes.max() == 1
    "\n".join(words.texts).encode()


def test_unusual_spaces_part_words(tmp_path: Path) -> None:
    def draw(page: pymupdf.Page) -> None:
        writer = pymupdf.TextWriter(page.rect)
        writer.append((40, 60), "ideographic\u3000space", font=pymupdf.Font("cjk"))
        writer.write_text(page)

    words = opened(one_page(tmp_path / "a.pdf", draw)).read(1, None).words
    assert list(words.texts) == ["ideographic", "space"]
    assert words.boxes[0, 2] <= words.boxes[1, 0]


def test_words_that_show_nothing_are_flagged(tmp_path: Path) -> None:
    white = one_page(tmp_path / "a.pdf", lambda page: page.insert_text((40, 60), "invisible ink", color=(1, 1, 1)))
    half = one_page(
        tmp_path / "b.pdf",
        lambda page: (
            page.insert_text((40, 60), "here is ink"),
            page.insert_text((40, 90), ["none"] * 20, color=(1, 1, 1)),
        ),
    )
    assert opened(white).read(1, None).flags == ("blank_render",)
    assert opened(half).read(1, None).flags == ()


def test_ink_without_words_is_flagged_and_emptiness_is_not(tmp_path: Path) -> None:
    drawn = opened(one_page(tmp_path / "a.pdf", lambda page: page.draw_line((50, 50), (300, 300)))).read(1, None)
    empty = opened(one_page(tmp_path / "b.pdf", lambda _: None)).read(1, None)
    assert (drawn.flags, drawn.words.source) == (("no_words",), "none")
    assert (empty.flags, empty.words.source) == ((), "none")


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_long_rotated_scan_with_a_stamp_is_recognised(tmp_path: Path, rotation: int) -> None:
    scan = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 20, 80), False)
    scan.set_rect(scan.irect, (200,))

    def draw(page: pymupdf.Page) -> None:
        page.insert_image(page.rect, pixmap=scan)
        page.insert_text((40, 40), "STAMP", fontsize=20)
        page.set_rotation(rotation)

    seen = []

    def recognise(grey: np.ndarray, dpi: float) -> Words:
        seen.append(grey.shape)
        return Words.empty()

    opened(one_page(tmp_path / "a.pdf", draw, width=200, height=800)).read(1, recognise)
    assert seen


def test_a_scan_with_a_stamp_is_recognised_and_keeps_the_stamp(tmp_path: Path) -> None:
    scan = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 40, 50), False)
    scan.set_rect(scan.irect, (200,))

    def draw(page: pymupdf.Page) -> None:
        page.insert_image(page.rect, pixmap=scan)
        page.insert_text((40, 40), "STAMP", fontsize=20)

    seen = []

    def recognise(grey: np.ndarray, dpi: float) -> Words:
        seen.append((grey.shape, dpi))
        one = np.zeros(1, np.int32)
        return Words(["scanned"], np.array([[0.1, 0.5, 0.3, 0.55]], np.float32), one, one, "ocr")

    page = opened(one_page(tmp_path / "a.pdf", draw)).read(1, recognise)
    assert list(page.words.texts) == ["scanned", "STAMP"]
    assert page.words.source == "ocr"
    assert page.words.lines.tolist() == [0, 1]
    ((height, width), dpi), *_ = seen
    assert height / 500 * 72 == pytest.approx(dpi, rel=0.01)
    assert width < height


def test_merge_drops_what_ocr_also_saw() -> None:
    numbers = np.arange(2, dtype=np.int32)
    layer = Words(
        ["same", "alone"],
        np.array([[0.1, 0.1, 0.2, 0.2], [0.6, 0.6, 0.7, 0.7]], np.float32),
        numbers,
        numbers,
        "text-layer",
    )
    found = Words(["Same"], np.array([[0.1, 0.09, 0.21, 0.2]], np.float32), numbers[:1], numbers[:1], "ocr")
    assert list(merge(found, layer).texts) == ["Same", "alone"]
    assert merge(Words.empty(), layer) is layer


def test_a_long_page_is_rendered_smaller(tmp_path: Path) -> None:
    path = one_page(tmp_path / "a.pdf", lambda page: page.insert_text((50, 50), "long"), width=14000, height=9000)
    image = opened(path, max_pixels=1_000_000).render(1, 14_000)
    assert 900_000 < image.shape[0] * image.shape[1] <= 1_000_000


def test_passwords(tmp_path: Path) -> None:
    def make(pdf: pymupdf.Document) -> None:
        pdf.new_page().insert_text((50, 50), "secret")

    path = written(tmp_path / "a.pdf", make, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="user", owner_pw="owner")
    with pytest.raises(Encrypted, match="needs a password"):
        opened(path)
    with pytest.raises(Encrypted, match="does not open"):
        opened(path, "wrong")
    assert list(opened(path, "user").read(1, None).words.texts) == ["secret"]
    assert list(opened(path, "owner").read(1, None).words.texts) == ["secret"]


def test_too_many_pages(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pdf", lambda pdf: [pdf.new_page() for _ in range(4)] and None)
    assert opened(path, max_pages=4).page_count == 4
    with pytest.raises(TooManyPages, match=r"4 pages; the limit is 3"):
        opened(path, max_pages=3)


@pytest.mark.parametrize("lost", [True, False])
def test_a_late_or_lost_header_is_no_obstacle(tmp_path: Path, lost: bool) -> None:
    path = one_page(tmp_path / "a.pdf", lambda page: page.insert_text((50, 50), "found"))
    content = path.read_bytes()
    path.write_bytes(b"x" * (2000 if lost else 900) + b"\n" + content)
    assert list(opened(path).read(1, None).words.texts) == ["found"]


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"")
    with pytest.raises(EmptyFile):
        opened(path)
    path.write_bytes(b"%PDF-1.7\nnothing of use")
    with pytest.raises(Corrupt):
        opened(path)
    path.write_bytes(b"<!DOCTYPE html><html>404</html>")
    with pytest.raises(UnsupportedType, match="a web page"):
        opened(path)


def test_a_pdf_of_no_pages(tmp_path: Path) -> None:
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]
    content, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(content)
    content += b"xref\n0 3\n0000000000 65535 f \n" + table
    content += b"trailer\n<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    with pytest.raises(NoPages):
        opened(path)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"%PDF-1.7", "application/pdf"),
        (b"junk" * 200 + b"%PDF-1.7", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
        (b"GIF89a", "image/gif"),
        (b"BM\x00\x01\x00\x00\x00\x00\x00\x00", "image/bmp"),
    ],
)
def test_types_by_magic(head: bytes, media_type: str) -> None:
    assert detect(head) == media_type


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"PK\x03\x04 %PDF-1.7 stored", "ZIP"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC"),
        (b"\x00\x00\x00\x18ftypavif", "AVIF"),
        (b"  <svg xmlns=", "SVG"),
        (b"BMW builds cars", "not known"),
        (b"plain text", "not known"),
    ],
)
def test_other_types_are_named_and_refused(head: bytes, said: str) -> None:
    with pytest.raises(UnsupportedType, match=said) as error:
        detect(head)
    assert "PDF, PNG" in error.value.hint
