from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from folioscope.domain import Box
from folioscope.errors import StorageError
from generation import draw, save
from generation.highlight import MARKER


def paper(colour: int) -> np.ndarray:
    return np.full((100, 200, 3), colour, np.uint8)


def test_paper_takes_the_marker_and_print_stays_dark() -> None:
    image = paper(255)
    image[15, 30] = 10
    marked = draw(image, [Box(0.1, 0.1, 0.5, 0.2)])
    assert tuple(marked[12, 40]) == MARKER
    assert marked[15, 30].max() <= 10
    assert (marked[25:] == 255).all()
    assert (image[12, 40] == 255).all()


def test_overlapping_boxes_are_laid_on_once() -> None:
    once = draw(paper(255), [Box(0.1, 0.1, 0.5, 0.5)])
    twice = draw(paper(255), [Box(0.1, 0.1, 0.5, 0.5), Box(0.1, 0.1, 0.5, 0.5)])
    assert (once == twice).all()


def test_dark_ground_gets_an_outline() -> None:
    marked = draw(paper(0), [Box(0.1, 0.1, 0.5, 0.2)])
    assert tuple(marked[10, 50]) == MARKER
    assert tuple(marked[15, 50]) == (0, 0, 0)


@pytest.mark.parametrize("box", [Box(0, 0, 1, 1), Box(1, 1, 1, 1), Box(0, 0, 0, 0), Box(0.5, 0.5, 0.5, 0.5)])
def test_boxes_at_the_edge_mark_something(box: Box) -> None:
    assert (draw(paper(255), [box]) != 255).any()


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.webp", "WEBP")])
def test_save(tmp_path: Path, name: str, kind: str) -> None:
    save(paper(200), tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
        assert image.size == (200, 100)


def test_save_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"a\.xyz.*\.png"):
        save(paper(200), tmp_path / "a.xyz")
    with pytest.raises(StorageError, match="folder that exists"):
        save(paper(200), tmp_path / "absent" / "a.png")
