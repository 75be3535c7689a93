"""The visual channel's encoder: a page's image -> many vectors, by a model of the ColPali family.

After Faysse et al. 2024, "ColPali: Efficient Document Retrieval with Vision Language Models" (arXiv 2407.01449): every
token of the model's input becomes a vector, and a page scores by MaxSim. As there, all tokens are kept but padding:
image patches, and the few of the prompt around them; of a question also the augmentation tokens that its processor
appends. Vectors have length 1.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageInput, PageKey, Words
from folioscope.errors import ChannelUnavailable
from retrieval.encoders.batching import Batching, in_background, ordered_map
from retrieval.encoders.checkpoints import find_checkpoint, weight_bytes
from retrieval.encoders.colpali_families import (
    Layout,
    dimension,
    find_family,
    find_layout,
    image_token,
    load_model,
    load_processor,
    long_edge,
    patch_boxes,
    widened,
)
from retrieval.encoders.torch_device import (
    Device,
    choose_device,
    free_bytes,
    import_torch,
    is_out_of_memory,
    need_torch,
    release_memory,
    upload,
)
from retrieval.pooling import pooled

# GiB free on the device beside the weights -> pages through the model at once, to begin with.
START_BATCH = ((64, 32), (32, 16), (16, 8), (8, 4), (4, 2))
CPU_BATCH = 1  # a page of the default model takes many seconds there, so that more at once only come later
GIB = 1 << 30

_Floats = NDArray[np.float32]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PageVectors:
    """A page's vectors, float32 [n, dim], and where each lies: boxes float32 [n, 4], NaN for tokens of the prompt."""

    vectors: NDArray[np.float32]
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class QueryVectors:
    """A question's vectors, float32 [n, dim], read-only, and its tokens as text.

    ``asked``: bool [n], true for the tokens of the question itself, false for what the processor puts around them.
    """

    vectors: NDArray[np.float32]
    tokens: tuple[str, ...]
    asked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """One page as the model takes it: tensors [1, …], not padded; and its boxes."""

    inputs: Mapping[str, Any]
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _PageBatch:
    """Pages as the model takes them together: tensors [pages, …]; and the boxes of each."""

    inputs: Mapping[str, Any]
    boxes: Sequence[NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.boxes)

    def halves(self) -> Sequence[_PageBatch]:
        middle = len(self) // 2
        parts = (slice(0, middle), slice(middle, None))
        return [
            _PageBatch({name: tensor[part] for name, tensor in self.inputs.items()}, self.boxes[part]) for part in parts
        ]


class ColPaliEncoder:
    """Implements `folioscope.ports.Encoder` with multi-vectors; may be used by several threads.

    ``model``: a folder or an id on the hub; its errors are those of `find_checkpoint`, `find_family` and `dimension`.
    Weights are loaded when the first page or question comes. ``device``: as `choose_device` finds it unless given.
    ``trust_remote_code``: run the code of a checkpoint that brings its own.
    """

    def __init__(self, model: str, *, device: Device | None = None, trust_remote_code: bool = False) -> None:
        need_torch()
        self.checkpoint = find_checkpoint(model, code=trust_remote_code)
        self.family = find_family(self.checkpoint, trust_remote_code=trust_remote_code)
        self._given_device = device
        self._lock = threading.RLock()  # one batch or question at a time is on the device
        self._image_lock = threading.Lock()
        self._local = threading.local()
        self._remembered = lru_cache(maxsize=512)(self._encode_query)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Known without loading weights.

        float32 and bfloat16 are one class here, so that pages encoded on a GPU are searched from a CPU: their vectors
        of a page had cosines above .999 with each other on every family's tiny checkpoint.
        """
        settings = f"pages of {self.long_edge} px, floating point"
        dim = dimension(self.checkpoint, self.family)
        return Fingerprint(f"colpali:{self.checkpoint.name}", self.checkpoint.revision, "multi", dim, settings)

    @cached_property
    def device(self) -> Device:
        """Where the model runs."""
        return self._given_device or choose_device()

    @property
    def device_note(self) -> str:
        """The device and precision, why, and the batch in use, for people: ``CPU, float32: …; 4 pages at once``."""
        return f"{self.device.note}; {self.batching.size} pages at once"

    @property
    def batch_size(self) -> int:
        """Pages that keep the device busy while the next are prepared: several of its own batches."""
        return 4 * self.batching.size

    @cached_property
    def batching(self) -> Batching:
        """Pages through the model at once: begun by the memory there is, halved when it runs out."""
        weights = 0 if "model" in vars(self) else weight_bytes(self.checkpoint)  # loaded ones are no longer free
        size = start_batch(self.device, free_bytes(self.device.device) - weights)
        return Batching(size, is_out_of_memory, lambda: release_memory(self.device.device))

    @cached_property
    def long_edge(self) -> int:
        """The size, in pixels along the longer side, in which page images are asked for."""
        return long_edge(self.layout, dict(self.processor.image_processor.size))

    @cached_property
    def layout(self) -> Layout:
        """How a page becomes image tokens."""
        return find_layout(self.family, self.processor)

    def encode_pages(self, pages: Sequence[PageInput]) -> list[NDArray[np.float32]]:
        """One float32 [n, dim] a page, in order; n differs from page to page where the model looks at page shapes.

        Raises `ChannelUnavailable` for a page without an image.
        """
        return [page.vectors for page in self.stream(pages)]

    def stream(self, pages: Iterable[PageInput]) -> Generator[PageVectors, None, None]:
        """The pages' vectors in order while later pages are prepared and encoded; the device never waits for who reads.

        Three stages, each ahead of the next by two batches at most: pages are prepared in a pool of threads, put
        together and copied to the device in a second one, encoded in a third; what is left to do to the vectors, who
        reads does. ``page.image`` is called by one thread at a time.
        """
        work = partial(self._encode_batch, self.model)
        prepared = ordered_map(self._pool, self._prepare, pages, 2 * self.batching.size)
        batches = in_background((self._put_together(group) for group in self.batching.group(prepared)), 1)
        encoded = in_background((list(self.batching.run(work, batch)) for batch in batches), 2)
        with closing(encoded):
            for row, mask, boxes in chain.from_iterable(encoded):
                yield PageVectors(_unit(row[mask]), boxes)

    def encode_images(self, images: Sequence[NDArray[np.uint8]]) -> list[PageVectors]:
        """The vectors of images uint8 [h, w, 3] with their places, in order."""
        pages = [
            PageInput(PageKey("", 0, number), "", Words.empty(), lambda _, image=image: image)  # type: ignore[misc]
            for number, image in enumerate(images, start=1)
        ]
        return list(self.stream(pages))

    def patch_boxes(self, height: int, width: int) -> NDArray[np.float32]:
        """The places of the vectors of a page image of this size, without running the model: float32 [n, 4]."""
        return self._inputs(np.zeros((height, width, 3), np.uint8)).boxes

    def encode_query(self, query: str) -> NDArray[np.float32] | None:
        """float32 [n, dim], read-only (recent questions are remembered); None for a question without text."""
        return self._remembered(query).vectors if query.strip() else None

    def query_tokens(self, query: str) -> QueryVectors:
        """The question's vectors with the tokens they stand for."""
        return self._remembered(query)

    def encode_image_query(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [h, w, 3] RGB, upright -> float32 [n, dim], n <= `pooling.LIMIT`: finds pages that look like this one.

        Its patches without the prompt around them, pooled to about as many vectors as a long question has: an image
        would take a second a thousand pages otherwise.
        """
        [seen] = self.encode_images([image])
        return pooled(seen.vectors[~np.isnan(seen.boxes[:, 0])])

    @cached_property
    def processor(self) -> Any:
        """The checkpoint's processor. Threads that prepare pages work on copies: tokenizers are not thread-safe."""
        return load_processor(self.checkpoint, self.family)

    @cached_property
    def model(self) -> Any:
        """The model on its device; loaded at the first use."""
        with self._lock:  # two threads may ask at once
            return vars(self).get("model") or load_model(
                self.checkpoint, self.family, self.device.device, self.device.dtype
            )

    @cached_property
    def _image_id(self) -> int:
        return image_token(self.checkpoint, self.family)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """On the CPU the model takes what there is; preparing pages must keep up with a GPU."""
        threads = 1 if self.device.device.type == "cpu" else max(1, min(12, (os.cpu_count() or 2) - 2))
        return ThreadPoolExecutor(threads, thread_name_prefix="prepare")

    def _prepare(self, page: PageInput) -> _Prepared:
        if page.image is None:
            raise ChannelUnavailable(
                f"Page {page.key.number} of {page.title or page.key.document_id} came without a way to its image.",
                hint="The visual channel reads pixels: give PageInput.image.",
            )
        with self._image_lock:
            image = page.image(self.long_edge)
        return self._inputs(image)

    def _inputs(self, image: NDArray[np.uint8]) -> _Prepared:
        """Each page is prepared by itself, so that nothing about it depends on the batch it comes to lie in."""
        from PIL import Image

        processor = self._own_processor()
        inputs = dict(processor.process_images([widened(Image.fromarray(image))]))
        boxes = patch_boxes(self.layout, inputs, self._image_id, processor)
        needed = {name: tensor for name, tensor in inputs.items() if is_needed(name, tensor)}
        return _Prepared({name: _in_precision(tensor, self.device) for name, tensor in needed.items()}, boxes)

    def _own_processor(self) -> Any:
        if not hasattr(self._local, "processor"):
            with self._lock:
                self._local.processor = copy.deepcopy(self.processor)
            if self.device.device.type != "cpu":
                import_torch().set_num_threads(1)  # of this thread: a dozen of them, each with a team, get in their way
        return self._local.processor

    def _put_together(self, pages: Sequence[_Prepared]) -> _PageBatch:
        tokenizer = self.processor.tokenizer
        inputs = collate([page.inputs for page in pages], tokenizer.pad_token_id, tokenizer.padding_side)
        return _PageBatch(upload(inputs, self.device.device), [page.boxes for page in pages])

    def _encode_batch(self, model: Any, batch: _PageBatch) -> list[tuple[_Floats, _Mask, _Floats]]:
        rows, masks = self._forward(model, batch.inputs)
        return list(zip(rows, masks, batch.boxes, strict=True))

    def _forward(self, model: Any, inputs: Mapping[str, Any]) -> tuple[_Floats, _Mask]:
        """The model's own vectors float32 [rows, tokens, dim], and which are no padding: bool [rows, tokens]."""
        torch = import_torch()
        with self._lock, torch.inference_mode():
            output = model(**{name: tensor.to(self.device.device) for name, tensor in inputs.items()})
            embeddings = getattr(output, "embeddings", output)  # [rows, tokens, dim]
            return embeddings.float().cpu().numpy(), inputs["attention_mask"].bool().cpu().numpy()

    def _encode_query(self, query: str) -> QueryVectors:
        with self._lock:
            ask = getattr(self.processor, "process_queries", None) or self.processor.process_texts
            inputs = dict(ask([query]))
            around = ask([""])["input_ids"][0].tolist()
            [row], [mask] = self._forward(self.model, inputs)
        vectors = _unit(row[mask])
        vectors.setflags(write=False)
        ids = inputs["input_ids"][0].numpy()[mask].tolist()
        tokens = tuple(self.processor.tokenizer.decode([number]) for number in ids)
        return QueryVectors(vectors, tokens, between(ids, around))


def start_batch(device: Device, free: int) -> int:
    """Pages at once to begin with, by the bytes free beside the weights; running out of memory halves it later."""
    if device.device.type == "cpu":
        return CPU_BATCH
    return next((pages for gib, pages in START_BATCH if free >= gib * GIB), 1)


def collate(pages: Sequence[Mapping[str, Any]], pad_id: int, side: str) -> dict[str, Any]:
    """Inputs of single pages, tensors [1, …], as one batch [pages, …]; the second dimension is padded where it differs.

    Tokens are padded on the model's own side, all else (patches, tiles) behind, with zeros, as the models expect it.
    """
    return {
        name: _stack([page[name] for page in pages], pad_id if name == "input_ids" else 0, side, name)
        for name in pages[0]
    }


def between(ids: Sequence[int], around: Sequence[int]) -> NDArray[np.bool_]:
    """Which ``ids`` stand between the beginning and the end that they share with ``around``: bool [len(ids)]."""
    longest = min(len(ids), len(around))
    start = next((place for place in range(longest) if ids[place] != around[place]), longest)
    ends = range(1, longest - start + 1)
    end = next((place for place in ends if ids[-place] != around[-place]), longest - start + 1) - 1
    asked = np.zeros(len(ids), np.bool_)
    asked[start : len(ids) - end] = True
    return asked


def is_needed(name: str, tensor: Any) -> bool:
    """Labels are for training; and a mask that hides no pixel is what a model assumes without one.

    That mask weighs more than the pixels: 27 MB a page of twelve tiles of 512 pixels.
    """
    return name != "labels" and not (name == "pixel_attention_mask" and bool(tensor.all()))


_TOKEN_INPUTS = {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"}


def _stack(tensors: Sequence[Any], value: int, side: str, name: str) -> Any:
    torch = import_torch()
    if len({tensor.shape[1:] for tensor in tensors}) == 1:
        return torch.cat(list(tensors))
    longest = max(tensor.shape[1] for tensor in tensors)
    left = name in _TOKEN_INPUTS and side == "left"
    padded = [_pad(tensor, longest - tensor.shape[1], value, left=left) for tensor in tensors]
    return torch.cat(padded)


def _pad(tensor: Any, count: int, value: int, *, left: bool) -> Any:
    filling = tensor.new_full((1, count, *tensor.shape[2:]), value)
    return import_torch().cat([filling, tensor] if left else [tensor, filling], dim=1)


def _in_precision(tensor: Any, device: Device) -> Any:
    """Pixels as the model computes: half of them to copy on a GPU. Token numbers stay what they are."""
    return tensor.to(device.dtype) if tensor.is_floating_point() else tensor


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Length 1 again: half precision left it off by up to a percent. A vector without a length is an error."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.all((lengths > 0) & np.isfinite(lengths)):
        raise ChannelUnavailable(
            "The model gave vectors that are zero or no numbers.",
            hint="Its weights are damaged, or it can't run in this precision; try the CPU.",
        )
    return np.asarray(vectors / lengths, np.float32)
