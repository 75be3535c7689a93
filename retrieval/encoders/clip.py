"""The image channel's encoder: CLIP and SigLIP, one vector a page, text -> image and image -> image by cosine.

Radford et al. 2021, arXiv:2103.00020; Zhai et al. 2023, arXiv:2303.15343. Meant for photos and figures: of the fine
print of a page such a model sees nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageInput, Vector
from retrieval.encoders import clip_models
from retrieval.encoders.torch_device import Device, choose_device, import_torch, need_torch

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

T = TypeVar("T")


class ClipEncoder:
    """Implements `folioscope.ports.Encoder` with dense vectors, float32 [dim] of length 1.

    ``spec``: see `clip_models.FORMS`. The constructor finds the files; torch and the weights come at the first use.
    May be used by several threads. Raises as `clip_models.find` does, and
    `ChannelUnavailable` without torch.
    """

    batch_size = 32

    def __init__(self, spec: str) -> None:
        need_torch()
        self.checkpoint = clip_models.find(spec)
        self._lock = threading.RLock()  # tokenizers are not thread-safe
        self._remembered = lru_cache(maxsize=512)(self._encode_query)

    @property
    def fingerprint(self) -> Fingerprint:
        """Library, model and the revision of its files; known without loading weights."""
        found = self.checkpoint
        return Fingerprint(f"clip:{found.library}:{found.name}", found.revision, "dense", found.dim)

    @cached_property
    def device(self) -> Device:
        """Where the model runs, chosen when it is loaded."""
        return choose_device()

    @cached_property
    def model(self) -> clip_models.Clip:
        """The loaded model."""
        with self._lock:  # two threads may ask at once
            return vars(self).get("model") or clip_models.load(self.checkpoint, self.device)

    @property
    def scale(self) -> float:
        """What a cosine is multiplied with to become a logit."""
        return self.model.scale

    def encode_pages(self, pages: Sequence[PageInput]) -> list[Vector | None]:
        """One float32 [dim] a page, from its image as the model's own preprocessing sees it (CLIP: the middle square).

        Raises ``ValueError`` for a page handed in without an image.
        """
        long_edge = 2 * self.checkpoint.image_size  # a page's shorter side is then hardly ever enlarged
        images = []
        for page in pages:
            if page.image is None:
                raise ValueError(f"{page.key} was handed to the image channel without an image")
            images.append(page.image(long_edge))
        return list(self.encode_images(images))

    def encode_query(self, query: str) -> Vector | None:
        """float32 [dim], read-only (recent queries are remembered); None for a query without words."""
        return self._remembered(query)

    def encode_image_query(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [h, w, 3] RGB, upright -> float32 [dim]: finds images that look like this one."""
        vector: NDArray[np.float32] = self.encode_images([image])[0]
        return vector

    def encode_images(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Each uint8 [h, w, 3] RGB, upright, of any size -> float32 [n, dim], rows of length 1.

        Raises ``ValueError`` for an array of another shape or type.
        """
        return self._encode(self.model.images, [_pil(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n, dim], rows of length 1. What is longer than the model's context is cut."""
        return self._encode(self.model.texts, list(texts))

    def _encode_query(self, query: str) -> Vector | None:
        if not query.strip():
            return None
        vector: NDArray[np.float32] = self.encode_texts([query])[0]
        vector.setflags(write=False)
        return vector

    def _encode(self, features: Callable[[Sequence[T]], Tensor], inputs: Sequence[T]) -> NDArray[np.float32]:
        torch = import_torch()
        rows = np.zeros((len(inputs), self.checkpoint.dim), np.float32)
        with self._lock, torch.inference_mode():
            for start in range(0, len(inputs), self.batch_size):
                batch = inputs[start : start + self.batch_size]
                rows[start : start + len(batch)] = features(batch).float().cpu().numpy()  # [batch, dim]
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _pil(image: NDArray[np.uint8]) -> Image:
    import PIL.Image

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"an image is uint8 [height, width, 3], this is {image.dtype} {list(image.shape)}")
    return PIL.Image.fromarray(image)
