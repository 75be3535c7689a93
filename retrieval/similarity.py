"""Where on a page a question's words were seen: similarity maps of a visual encoder, as grid, boxes or picture.

One way for every family of models: the encoder says where each vector of a page lies (`PageVectors.boxes`), and the
finest of these places make the grid. Models with tiles see the page once more as a whole; those coarse cells are left
out, as their published maps do.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Box, PageKey, Region
from folioscope.errors import QueryError
from folioscope.ports import PageImages
from retrieval.channel import Channel
from retrieval.encoders.colpali import ColPaliEncoder, PageVectors

# Cells at least this far up from the page's lowest similarity to its highest count as found. Chosen by eye.
THRESHOLD = 0.6

# What marks a cell, from nothing to most similar: white, blue, orchid.
HEAT = np.array([[255, 255, 255], [80, 120, 255], [218, 60, 214]], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityMap:
    """How similar each place of a page is to each token of a question.

    ``grid``: float32 [tokens, rows, cols], cosines, -1 to 1. The cells are equal and cover the whole upright page: cell
    (row, col) is the box (col / cols, row / rows, (col + 1) / cols, (row + 1) / rows). ``asked``: bool [tokens], false
    for tokens that the model puts around a question.
    """

    tokens: tuple[str, ...]
    asked: NDArray[np.bool_]
    grid: NDArray[np.float32]

    @property
    def strongest(self) -> NDArray[np.float32]:
        """The maximum over the question's own tokens: float32 [rows, cols]."""
        chosen = self.asked if self.asked.any() else np.ones_like(self.asked)
        return np.asarray(self.grid[chosen].max(axis=0), np.float32)

    def of(self, word: str) -> SimilarityMap:
        """The map of one word, or several that follow each other, of the question: of the tokens that spell it.

        Raises `QueryError` where the question does not have it.
        """
        asked = np.flatnonzero(self.asked)
        parts = [_letters(self.tokens[place]) for place in asked]
        start, wanted = "".join(parts).find(_letters(word)), _letters(word)
        if start < 0 or not wanted:
            tokens = ", ".join(repr(self.tokens[place].strip()) for place in asked)
            raise QueryError(f"The question has no {word!r}.", hint=f"The model reads it as {tokens or 'nothing'}.")
        ends = np.cumsum([len(part) for part in parts])
        begins = ends - [len(part) for part in parts]
        chosen = np.zeros_like(self.asked)
        chosen[asked[(begins < start + len(wanted)) & (ends > start)]] = True
        return SimilarityMap(self.tokens, chosen, self.grid)

    @property
    def heat(self) -> NDArray[np.float32]:
        """`strongest`, stretched from 0 (the page's lowest) to 1 (its highest); all 0 where it is even."""
        low, high = self.strongest.min(), self.strongest.max()
        return np.asarray((self.strongest - low) / max(high - low, 1e-6), np.float32)


def similarity(encoder: ColPaliEncoder, query: str, page: NDArray[np.uint8] | PageVectors) -> SimilarityMap:
    """The map of one page for one question.

    ``page``: its image, uint8 [h, w, 3], which is then encoded; or vectors that are already there, all of them and in
    the encoder's order, with their places (`ColPaliEncoder.patch_boxes` knows them from the image's size).
    """
    seen = encoder.encode_images([page])[0] if isinstance(page, np.ndarray) else page
    asked = encoder.query_tokens(query)
    cells = patch_grid(seen.boxes)  # [rows, cols]
    scores = asked.vectors @ seen.vectors[cells.ravel()].T  # [tokens, rows * cols]
    return SimilarityMap(asked.tokens, asked.asked, scores.reshape(-1, *cells.shape))


def shows_where(channel: Channel) -> bool:
    """Whether the channel's pages have similarity maps."""
    return isinstance(channel.encoder, ColPaliEncoder)


def page_map(channel: Channel, key: PageKey, query: str, images: PageImages) -> SimilarityMap:
    """The map of one page of a channel that `shows_where`.

    From the page's stored vectors; from its image, encoded anew, where the index lacks it or has it in another number
    of vectors. Raises as ``images`` does.
    """
    encoder = channel.encoder
    assert isinstance(encoder, ColPaliEncoder)
    image = images.image(key, encoder.long_edge)
    boxes = encoder.patch_boxes(*image.shape[:2])
    stored = channel.index.vectors([key]).get(key)
    if isinstance(stored, np.ndarray) and len(stored) == len(boxes):
        return similarity(encoder, query, PageVectors(stored, boxes))
    return similarity(encoder, query, image)


def patch_grid(boxes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which vector lies in which cell of the finest grid among ``boxes`` (float32 [n, 4]): int64 [rows, cols]."""
    places = np.flatnonzero(~np.isnan(boxes[:, 0]))
    sizes = boxes[places, 2:] - boxes[places, :2]  # [patches, 2]
    finest = places[np.isclose(sizes.prod(axis=1), sizes.prod(axis=1).min(), rtol=1e-3)]
    cols, rows = np.rint(1 / sizes.min(axis=0)).astype(int).tolist()
    col, row = np.floor(boxes[finest, :2] * [cols, rows] + 0.5).astype(int).T
    grid = np.full((rows, cols), -1, np.int64)
    grid[row, col] = finest
    assert (grid >= 0).all(), "the finest patches tile the page"
    return grid


def regions(found: SimilarityMap, k: int = 5) -> tuple[Region, ...]:
    """The ``k`` best boxes around touching cells of high similarity, best first; the best scores 1, none when even."""
    heat = found.heat
    rows, cols = heat.shape
    made = []
    for cells in _islands(heat >= THRESHOLD):
        row, col = cells[:, 0], cells[:, 1]
        box = Box(col.min() / cols, row.min() / rows, (col.max() + 1) / cols, (row.max() + 1) / rows)
        made.append(Region(Box(*map(float, box)), float(heat[row, col].max()), "similarity"))
    return tuple(sorted(made, key=lambda region: (-region.score, region.box))[:k])


def painted(page: NDArray[np.uint8], found: SimilarityMap) -> NDArray[np.uint8]:
    """The page, uint8 [h, w, 3], in grey with the map over it in blue and orchid."""
    from PIL import Image

    height, width = page.shape[:2]
    grey = np.asarray(Image.fromarray(page).convert("L"), np.float32)[..., None]  # [h, w, 1]
    smooth = Image.fromarray(found.heat).resize((width, height), Image.Resampling.BILINEAR)
    colours = _heat_colours(np.asarray(smooth))  # [h, w, 3]
    return (grey / 255 * colours).astype(np.uint8)


def overlay(page: NDArray[np.uint8], found: SimilarityMap) -> bytes:
    """`painted` as a PNG of the page's size."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(painted(page, found)).save(picture, "PNG")
    return picture.getvalue()


def _letters(text: str) -> str:
    """Some tokenizers give the space before a word to its first token, some to none."""
    return "".join(text.split()).casefold()


def _heat_colours(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """0–1 [h, w] -> colours along `HEAT`, float32 [h, w, 3]."""
    stops = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(heat, stops, HEAT[:, channel]) for channel in range(3)], axis=-1).astype(np.float32)


def _islands(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The groups of set cells that touch along an edge: int64 [cells, 2] of (row, col) each."""
    rest = {(int(row), int(col)) for row, col in np.argwhere(mask)}
    islands = []
    while rest:
        island, front = [], [rest.pop()]
        while front:
            row, col = front.pop()
            island.append((row, col))
            near = {(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)} & rest
            rest -= near
            front += near
        islands.append(np.array(island, np.int64))
    return islands
