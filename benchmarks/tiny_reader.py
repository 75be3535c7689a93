"""A tiny ColModernVBERT that has learned to read eight rendered words, in some ten seconds on one core.

For tests of what only a trained model can show: that a question finds the page with its word, and that the similarity
map points at it. Nothing is downloaded; the pages are drawn here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.tiny_models import TILE, WORDS, colmodernvbert
from retrieval.encoders.colpali_families import patch_boxes
from retrieval.encoders.torch_device import import_torch

SIZE = 3 * TILE  # pixels of a square page: a grid of 6 x 6 tokens
STEP = 8  # words stand at multiples of it


class DrawnPage(NamedTuple):
    """image: uint8 [SIZE, SIZE, 3]; words: number in `WORDS` -> box, 0 to 1."""

    image: NDArray[np.uint8]
    words: dict[int, tuple[float, ...]]


def draw_page(rng: np.random.Generator, count: int = 3) -> DrawnPage:
    """``count`` different words at random places, one in each third of the page."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(11)
    picture = Image.new("RGB", (SIZE, SIZE), "white")
    draw = ImageDraw.Draw(picture)
    words = {}
    for third, word in enumerate(rng.permutation(len(WORDS))[:count].tolist()):
        places = int(SIZE - font.getlength(WORDS[word])) // STEP + 1
        corner = (STEP * int(rng.integers(places)), TILE * third + STEP * int(rng.integers(3)))
        draw.text(corner, WORDS[word], fill="black", font=font)
        words[word] = tuple(edge / SIZE for edge in draw.textbbox(corner, WORDS[word], font=font))
    return DrawnPage(np.asarray(picture), words)


def train_reader(folder: Path, *, pages: int = 240, steps: int = 240, batch: int = 16, rate: float = 4e-3) -> None:
    """Train on drawn pages and save to ``folder``.

    Two losses: a word's token is to be near the vectors of the places where it stands and far from all others, and a
    page's mean MaxSim is to be high for the words that it shows.
    """
    torch = import_torch()
    from transformers import ColModernVBertForRetrieval, ColModernVBertProcessor

    torch.manual_seed(0)
    colmodernvbert(folder, long_edge=SIZE)
    processor = ColModernVBertProcessor.from_pretrained(folder)
    model = ColModernVBertForRetrieval.from_pretrained(folder).train()
    rng = np.random.default_rng(1)
    inputs, shown, places, patches = _lesson([draw_page(rng) for _ in range(pages)], processor, model)
    queries = processor.process_queries(list(WORDS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    for _ in range(steps):
        chosen = torch.from_numpy(rng.choice(pages, batch, replace=False))
        vectors = model(**{name: tensor[chosen] for name, tensor in inputs.items()}).embeddings  # [batch, tokens, dim]
        asked = model(**queries).embeddings  # [words, tokens, dim]; the word itself comes first
        near = torch.einsum("wd,bnd->wbn", asked[:, 0], vectors[:, patches])
        best = torch.einsum("wtd,bnd->wbtn", asked, vectors).amax(-1).mean(-1)  # [words, batch]
        loss = loss_of(15 * (near - 0.5), places[:, chosen], pos_weight=torch.tensor(8.0))
        loss = loss + loss_of(15 * (best - 0.5), shown[:, chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval().save_pretrained(folder)


def _lesson(pages: list[DrawnPage], processor: Any, model: Any) -> tuple[Any, Any, Any, Any]:
    """Inputs of all pages; which words each shows [words, pages]; where [words, pages, patches]; which are patches."""
    from PIL import Image

    torch = import_torch()
    inputs = processor.process_images([Image.fromarray(page.image) for page in pages])
    first = {name: tensor[:1] for name, tensor in inputs.items()}
    boxes = patch_boxes("tiles", first, model.config.vlm_config.image_token_id, processor)
    patches = boxes[:, 2] - boxes[:, 0] < 1.5 * TILE / 2 / SIZE  # the tiles' tokens, not those of the whole page
    places = np.zeros((len(WORDS), len(pages), int(patches.sum())), np.float32)
    for number, page in enumerate(pages):
        for word, box in page.words.items():
            places[word, number] = _covered(boxes[patches], box)
    return inputs, torch.from_numpy(places.max(axis=2)), torch.from_numpy(places), torch.from_numpy(patches)


def _covered(cells: NDArray[np.float32], box: tuple[float, ...]) -> NDArray[np.bool_]:
    """Which cells [n, 4] a word's box covers by more than a sliver: bool [n]."""
    wide = np.minimum(cells[:, 2], box[2]) - np.maximum(cells[:, 0], box[0])
    high = np.minimum(cells[:, 3], box[3]) - np.maximum(cells[:, 1], box[1])
    return np.asarray((wide > 0.06) & (high > 0.03))
