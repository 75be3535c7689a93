"""Which words stand beside each other on a page, whatever block or column they were read in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Words

LONG_LINE = 6
"""Words that make a line running text rather than a cell."""


def visual_rows(words: Words) -> NDArray[np.int32]:
    """The visual row of each word, int32 [n], counted from the top: the cells of a table row share one.

    Whole lines are put together, not words, so that a skewed line stays in one piece. A line of vertical writing is a
    row of its own.
    """
    if not len(words):
        return np.zeros(0, np.int32)
    lines, member, count = np.unique(words.lines, return_inverse=True, return_counts=True)
    boxes = _line_boxes(words.boxes[np.argsort(member, kind="stable")], np.cumsum(count) - count)
    order = np.argsort(boxes[:, 1] + boxes[:, 3], kind="stable").tolist()
    rows = np.zeros(len(lines), np.int32)
    row, band = -1, (0.0, 0.0)
    for i in order:
        x0, y0, x1, y1 = boxes[i].tolist()
        upright = count[i] < 3 or x1 - x0 > y1 - y0
        centre = (y0 + y1) / 2
        if row < 0 or not upright or not (band[0] < centre < band[1] and y0 < sum(band) / 2 < y1):
            row, band = row + 1, (y0, y1) if upright else (0.0, 0.0)
        rows[i] = row
    return rows[member]


def row_order(words: Words, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """Positions of the words row by row and from left to right, int64 [n]."""
    return np.lexsort((words.boxes[:, 0], rows))


def table_rows(words: Words, rows: NDArray[np.int32]) -> tuple[list[int], set[int]]:
    """Positions in row order, and those at which a stretch begins that may be read on: a row, but for running text.

    Two columns of running text lie beside each other as the cells of a table do; read across, they would say what
    nobody wrote.
    """
    order = row_order(words, rows)
    text, lines, row = _running_text(words)[order], words.lines[order], rows[order]
    cut = (row[1:] != row[:-1]) | ((lines[1:] != lines[:-1]) & (text[1:] | text[:-1]))
    return order.tolist(), set(order[1:][cut].tolist())


def _running_text(words: Words) -> NDArray[np.bool_]:
    """Which words belong to a block most of whose lines are long or go on from line to line, bool [n]."""
    lines, start, count = np.unique(words.lines, return_index=True, return_counts=True)
    _, blocks = np.unique(words.blocks, return_inverse=True)
    block = blocks[start]
    small = np.array([words.texts[i][0].islower() for i in start.tolist()])
    below = np.zeros(len(lines), np.bool_)
    below[1:] = (block[1:] == block[:-1]) & (words.boxes[start[1:], 1] > words.boxes[start[:-1], 1]) & small[1:]
    goes_on = below.copy()
    goes_on[:-1] |= below[1:]
    runs = (count >= LONG_LINE) | (goes_on & (count >= 3))
    share = np.bincount(block, runs) / np.bincount(block)
    whole: NDArray[np.bool_] = share[blocks] > 0.5
    return whole


def _line_boxes(boxes: NDArray[np.float32], starts: NDArray[np.intp]) -> NDArray[np.float32]:
    """The box around each stretch of boxes that begins at ``starts``, float32 [len(starts), 4]."""
    low, high = np.minimum.reduceat(boxes[:, :2], starts), np.maximum.reduceat(boxes[:, 2:], starts)
    return np.hstack([low, high])
