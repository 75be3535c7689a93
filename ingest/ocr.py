"""Page images -> words: tesseract where it is installed, else RapidOCR, whose models come with its package."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Words
from folioscope.errors import OcrFailed
from ingest.sources import Recognise

Engine = Literal["auto", "tesseract", "rapidocr", "off"]
LEAST_CONFIDENCE = 30.0  # of 100; under it tesseract reads specks and ornaments: 6 % of its words, 1.5 % of the known


def recogniser(engine: Engine, languages: str, *, before_exec: Callable[[], None] | None = None) -> Recognise | None:
    """OCR by ``engine`` for tesseract's ``languages`` ("eng+deu"); None for ``off``. Nothing is loaded before its use.

    ``before_exec`` runs in the new process before tesseract does.
    """
    chosen = choose(engine)
    if chosen == "tesseract":
        return lambda grey, dpi: _tesseract(grey, dpi, languages, before_exec)
    return _rapidocr if chosen == "rapidocr" else None


def choose(engine: Engine) -> Engine:
    """The engine that ``auto`` stands for here; any other as it is."""
    if engine != "auto":
        return engine
    return "tesseract" if shutil.which("tesseract") else "rapidocr"


# --- tesseract ------------------------------------------------------------------------------------------------------


def check_tesseract(languages: str) -> None:
    """Raises `OcrFailed` where tesseract or the data of one of the ``languages`` is missing, naming the package."""
    installed = _installed_languages()
    for language in languages.split("+"):
        if language not in installed:
            raise OcrFailed(
                f"tesseract has no data for the language {language!r}; it has {', '.join(sorted(installed))}.",
                hint=f"Install the Debian package tesseract-ocr-{language.lower().replace('_', '-')}, "
                "or change the setting ocr_languages.",
            )


@cache
def _installed_languages() -> frozenset[str]:
    listing = _run("--list-langs").decode(errors="replace").splitlines()
    return frozenset(line.strip() for line in listing[1:] if line.strip())


def _tesseract(
    grey: NDArray[np.uint8], dpi: float, languages: str, before_exec: Callable[[], None] | None = None
) -> Words:
    check_tesseract(languages)
    height, width = grey.shape
    image = b"P5 %d %d 255\n" % (width, height) + np.ascontiguousarray(grey).tobytes()
    # Segmentation mode 1 finds a page's orientation first, for a quarter more time; boxes stay on the given image.
    mode = "1" if "osd" in _installed_languages() else "3"
    resolution = ("--dpi", str(round(dpi))) if dpi >= 70 else ()
    table = _run(
        "stdin", "stdout", *resolution, "--psm", mode, "-l", languages, "tsv", given=image, before_exec=before_exec
    )
    return _from_tsv(table.decode(errors="replace"), width, height)


def _run(*arguments: str, given: bytes = b"", before_exec: Callable[[], None] | None = None) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603
            ["tesseract", *arguments],  # noqa: S607
            input=given,
            capture_output=True,
            check=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            preexec_fn=before_exec,
        )
    except FileNotFoundError:
        raise OcrFailed(
            "tesseract is not on the PATH.",
            hint="Install the Debian package tesseract-ocr, or set ocr to rapidocr or auto.",
        ) from None
    except OSError as error:
        raise OcrFailed(
            f"tesseract can't be started: {error}.",
            hint="The process that reads documents may start programs of the system's folders and of tesseract's own; "
            "install the Debian package tesseract-ocr, or set ocr to rapidocr.",
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise OcrFailed(
            f"tesseract ended with status {error.returncode}{': ' + said[-1][:300] if said else ''}."
        ) from None
    return done.stdout


def _from_tsv(table: str, width: int, height: int) -> Words:
    """Level 5 rows are words: level, page, block, paragraph, line, word, left, top, width, height, confidence, text."""
    found = []
    for row in table.splitlines():
        cells = row.split("\t")
        if len(cells) == 12 and cells[0] == "5" and float(cells[10]) >= LEAST_CONFIDENCE:
            left, top, wide, high = map(int, cells[6:10])
            found.append((cells[11], (left, top, left + wide, top + high), tuple(cells[2:5]), tuple(cells[2:4])))
    return _assembled(found, width, height)


# --- RapidOCR -------------------------------------------------------------------------------------------------------


@cache
def _rapid_engine() -> Any:
    from rapidocr import RapidOCR

    one_thread = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    return RapidOCR(params={"Global.log_level": "error", **one_thread})


def _rapidocr(grey: NDArray[np.uint8], dpi: float) -> Words:  # noqa: ARG001
    height, width = grey.shape
    try:
        result = _rapid_engine()(np.repeat(grey[:, :, None], 3, axis=2), return_word_box=True)
    except MemoryError:
        raise
    except Exception as error:
        raise OcrFailed(f"rapidocr gave up: {str(error)[:300]}.") from error
    if result.boxes is None:  # word_results then holds a stand-in
        return Words.empty()
    found = []
    for number, line in enumerate(result.word_results):
        for text, _, corners in line:
            x, y = zip(*corners, strict=True)
            found.append((text, (min(x), min(y), max(x), max(y)), (number,), (number,)))
    return _assembled(found, width, height)


def _assembled(
    found: Iterable[tuple[str, tuple[float, ...], tuple[object, ...], tuple[object, ...]]], width: int, height: int
) -> Words:
    """Words from (text, box in pixels, key of the line, key of the block)."""
    texts: list[str] = []
    boxes: list[tuple[float, ...]] = []
    lines: list[int] = []
    blocks: list[int] = []
    line_keys: dict[object, int] = {}
    block_keys: dict[object, int] = {}
    for text, box, line, block in found:
        if text := "".join(character for character in text if character.isprintable() and not character.isspace()):
            texts.append(text)
            boxes.append(box)
            lines.append(line_keys.setdefault(line, len(line_keys)))
            blocks.append(block_keys.setdefault(block, len(block_keys)))
    if not texts:
        return Words.empty()
    shares = np.array(boxes, np.float32) / np.array((width, height, width, height), np.float32)
    return Words(texts, shares.clip(0, 1), np.array(lines, np.int32), np.array(blocks, np.int32), "ocr")
