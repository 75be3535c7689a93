"""What image vectors are good for beside search: near duplicates and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.clip import ClipEncoder

BLOCK = 512  # rows compared with all others at once: at most BLOCK * n cosines are in memory


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Images that belong together. ``members``: positions, ascending, at least two.

    ``pairs``: (member, its nearest other member, their cosine), each pair once, most alike first: why they are here.
    """

    members: tuple[int, ...]
    pairs: tuple[tuple[int, int, float], ...]


def near_duplicates(vectors: NDArray[np.float32], threshold: float) -> list[Duplicates]:
    """Groups of rows linked by cosines of at least ``threshold``: float32 [n, d] -> groups, the largest first.

    Exact: all n * n / 2 pairs are compared, block by block. A chain links its ends, however far apart they are. Rows
    need not have length 1; a row of zeros is like no other. Raises ``ValueError`` unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is a cosine over 0 and at most 1, not {threshold}")
    rows = np.asarray(vectors, np.float32)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    group = np.arange(len(unit))  # a row's group is named by one of its members
    nearest = np.zeros(len(unit), np.int64)
    cosine = np.zeros(len(unit), np.float32)
    for start in range(0, len(unit), BLOCK):
        scores = unit[start : start + BLOCK] @ unit.T  # [block, n]
        here = np.arange(len(scores))
        scores[here, start + here] = -1  # itself
        nearest[start : start + BLOCK] = scores.argmax(axis=1)
        cosine[start : start + BLOCK] = scores.max(axis=1)
        alike = scores >= threshold - 1e-6  # a cosine of equal rows may come out a little under 1
        for row in np.flatnonzero(alike.any(axis=1)).tolist():
            names = np.unique(np.append(group[alike[row]], group[start + row]))
            if len(names) > 1:
                group[np.isin(group, names)] = names[0]
    return _groups(group, nearest, cosine)


def _groups(group: NDArray[np.int64], nearest: NDArray[np.int64], cosine: NDArray[np.float32]) -> list[Duplicates]:
    names, counts = np.unique(group, return_counts=True)
    found = []
    for name in names[counts > 1]:
        members = np.flatnonzero(group == name).tolist()
        pairs = {tuple(sorted((row, int(nearest[row])))): min(1.0, float(cosine[row])) for row in members}
        ordered = sorted(((one, two, score) for (one, two), score in pairs.items()), key=lambda pair: -pair[2])
        found.append(Duplicates(tuple(members), tuple(ordered)))
    return sorted(found, key=lambda duplicates: -len(duplicates.members))


def label_images(
    encoder: ClipEncoder, images: Sequence[NDArray[np.uint8]], labels: Sequence[str], template: str = "{}"
) -> NDArray[np.float32]:
    """How well each label fits, without training: float32 [images, labels], rows that add up to 1.

    Softmax over the logits (cosine times the model's scale), as CLIP was published with. ``images``: each uint8
    [h, w, 3]; ``template``: a text in which ``{}`` stands for the label, such as ``a photo of {}``.
    """
    if not labels or "{}" not in template:
        raise ValueError(f"needs labels and a template with {{}}, got {list(labels)} and {template!r}")
    texts = encoder.encode_texts([template.replace("{}", label) for label in labels])
    logits = encoder.scale * (encoder.encode_images(images) @ texts.T)  # [images, labels]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return shares
