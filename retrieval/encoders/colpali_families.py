"""The ColPali families: which classes read a checkpoint, and where on the page each vector of a page lies.

A family is found from the checkpoint's config, never from its name. Where transformers has a class of its own it is
used (it needs no torchvision); the rest comes from colpali-engine.

Three layouts say how a page becomes image tokens. All stretch the page a little and none pads it, so that a grid of
equal cells over the whole page is exact for each of them:

- ``square``: the page is resized to a square; one grid (PaliGemma, Gemma 3).
- ``dynamic``: the page keeps its shape, rounded to whole tokens; one grid (Qwen).
- ``tiles``: the page is stretched to whole square tiles; a grid in each tile, tile after tile in reading order, then
  a grid over the whole page once more (Idefics3, ModernVBERT).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from folioscope.errors import ChannelUnavailable, ConfigError
from retrieval.encoders.checkpoints import Checkpoint, need_tokenizer, untrusted, weight_shape
from retrieval.encoders.torch_device import EXTRA, first_line, import_torch

if TYPE_CHECKING:
    from PIL.Image import Image

Layout = Literal["square", "dynamic", "tiles"]

# A page shown larger than this tells a model no more; it bounds Qwen checkpoints that set no bound of their own.
MAX_LONG_EDGE = 2048

MAX_ASPECT = 200  # Qwen's processors refuse a page whose sides differ more

_TILE = re.compile(r"<row_(\d+)_col_(\d+)>")


@dataclass(frozen=True, slots=True)
class Family:
    """One row of `FAMILIES`: module and names of its classes, the weight that projects to vectors, its layout.

    ``model_type``: what config.json calls a checkpoint of it, or the base that its adapters adapt. ``layout``: None
    where only the processor knows.
    """

    model_type: str
    module: str
    model: str
    processor: str
    projection: str
    layout: Layout | None


_ENGINE = "colpali_engine.models"

FAMILIES = (
    Family("colpali", "transformers", "ColPaliForRetrieval", "ColPaliProcessor", "embedding_proj_layer", "square"),
    Family("colqwen2", "transformers", "ColQwen2ForRetrieval", "ColQwen2Processor", "embedding_proj_layer", "dynamic"),
    Family(
        "colmodernvbert", "transformers", "ColModernVBertForRetrieval", "ColModernVBertProcessor",
        "embedding_proj_layer", "tiles",
    ),
    Family("paligemma", _ENGINE, "ColPali", "ColPaliProcessor", "custom_text_proj", "square"),
    Family("gemma3", _ENGINE, "ColGemma3", "ColGemmaProcessor3", "custom_text_proj", "square"),
    Family("qwen2_vl", _ENGINE, "ColQwen2", "ColQwen2Processor", "custom_text_proj", "dynamic"),
    Family("qwen2_5_vl", _ENGINE, "ColQwen2_5", "ColQwen2_5_Processor", "custom_text_proj", "dynamic"),
    Family("qwen3_vl", _ENGINE, "ColQwen3", "ColQwen3Processor", "custom_text_proj", "dynamic"),
    Family("qwen3_5", _ENGINE, "ColQwen3_5", "ColQwen3_5Processor", "custom_text_proj", "dynamic"),
    Family("idefics3", _ENGINE, "ColIdefics3", "ColIdefics3Processor", "linear", "tiles"),
    Family("modernvbert", _ENGINE, "ColModernVBert", "ColModernVBertProcessor", "custom_text_proj", "tiles"),
)  # fmt: skip

# Checkpoints that bring their classes along: the model's output or its ``.embeddings`` are the vectors, the processor
# has process_images, and process_queries or process_texts; its layout shows in the processor.
OWN_CODE = Family("", "transformers", "AutoModel", "AutoProcessor", "", None)


def find_family(checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> Family:
    """By the class named in config.json; for an adapter, whose base may be a plain model, by the base's type.

    Raises `ConfigError`, which lists what is known; and for a checkpoint with code of its own unless it is trusted.
    """
    config = checkpoint.base.config if checkpoint.base else checkpoint.config
    if code := (config.get("auto_map") or {}).get("AutoModel"):
        if not trust_remote_code:
            raise untrusted(checkpoint.name, code)
        return OWN_CODE
    classes = config.get("architectures") or []
    for family in FAMILIES:
        by_type = family.model_type == config.get("model_type") and (checkpoint.base or not classes)
        if family.model in classes or by_type:
            return family
    known = ", ".join(f"{family.model} ({family.model_type})" for family in FAMILIES)
    raise ConfigError(
        f"{checkpoint.name} is a {' or '.join(classes) or 'model'} of type {config.get('model_type')!r}, "
        "no model that turns pages into vectors.",
        hint=f"Known families: {known}.",
    )


def dimension(checkpoint: Checkpoint, family: Family) -> int:
    """Numbers in a vector, read from the header of the weights.

    Raises `ConfigError` where the projection is missing: the classes would quietly make up a random one.
    """
    names = sorted({family.projection} if family.projection else {known.projection for known in FAMILIES})
    for place in filter(None, (checkpoint, checkpoint.base)):
        for name in names:
            if shape := weight_shape(place, f"{name}.weight"):
                return shape[0]
    raise ConfigError(
        f"{checkpoint.name} holds no weights of {' or '.join(names)}, the layer that makes {family.model}'s vectors.",
        hint="It is a base model that was not trained for retrieval yet; take one that was.",
    )


def load_processor(checkpoint: Checkpoint, family: Family) -> Any:
    """What turns images and questions into the model's inputs, from the checkpoint or from what it adapts."""
    here = checkpoint.folder
    own = (here / "preprocessor_config.json").is_file() or (here / "processor_config.json").is_file()
    folder = here if own or checkpoint.base is None else checkpoint.base.folder
    need_tokenizer(folder)
    return _load(family, family.processor, folder)


def load_model(checkpoint: Checkpoint, family: Family, device: Any, dtype: Any) -> Any:
    """The model in evaluation mode on its device."""
    model = _load(family, family.model, checkpoint.folder, dtype=dtype)
    if family.model == "ColPali":
        # It computes logits that nobody reads, a gigabyte a page, with tied weights that transformers 5 leaves empty.
        model.model.lm_head = import_torch().nn.Identity()
    return model.to(device).eval()


def image_token(checkpoint: Checkpoint, family: Family) -> int:
    """The number of the token that stands for a patch, as the model has it: some processors' own is another one."""
    folder = (checkpoint.base or checkpoint).folder
    if family is OWN_CODE:
        config = _load(family, "AutoConfig", folder)
    else:
        config = _class(family, family.model).config_class.from_pretrained(folder, local_files_only=True)
    config = getattr(config, "vlm_config", config)
    number = getattr(config, "image_token_id", None)
    return int(config.image_token_index if number is None else number)


def find_layout(family: Family, processor: Any) -> Layout:
    """The family's, or what the processor of a checkpoint with code of its own does to a page."""
    if family.layout:
        return family.layout
    if hasattr(processor.image_processor, "merge_size"):
        return "dynamic"
    return "square" if "height" in dict(processor.image_processor.size) else "tiles"


def long_edge(layout: Layout, size: Mapping[str, int | None]) -> int:
    """Pixels along a page's longer side that lose nothing once the processor has resized it to ``size``."""
    if layout == "square":
        return math.ceil(1.5 * max(size["height"] or 0, size["width"] or 0))  # then the short side has enough, too
    edge = size["longest_edge"] or MAX_LONG_EDGE
    return edge if layout == "tiles" else min(MAX_LONG_EDGE, math.ceil(math.sqrt(2 * edge)))  # Qwen counts pixels


def widened(image: Image) -> Image:
    """The page; where one side is more than `MAX_ASPECT` times the other, stretched to that."""
    least = math.ceil(max(image.size) / MAX_ASPECT)
    return image if min(image.size) >= least else image.resize((max(image.width, least), max(image.height, least)))


def patch_boxes(layout: Layout, inputs: Mapping[str, Any], image_id: int, processor: Any) -> NDArray[np.float32]:
    """Where the vectors of one page lie: float32 [tokens, 4], boxes from 0 to 1; NaN where a token is no image patch.

    ``inputs``: what the processor made of this page alone, tensors [1, …].
    """
    is_image = (inputs["input_ids"][0] == image_id).numpy()  # bool [tokens]
    count = int(is_image.sum())
    boxes = np.full((len(is_image), 4), np.nan, np.float32)
    if layout == "square":
        cells = grid(math.isqrt(count), math.isqrt(count))
    elif layout == "dynamic":
        merge = processor.image_processor.merge_size
        _, rows, cols = inputs["image_grid_thw"][0].tolist()
        cells = grid(rows // merge, cols // merge)
    else:
        tokens = processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
        cells = tiled_grid(tokens, math.isqrt(processor.image_seq_len))
    if len(cells) != count:
        raise ConfigError(
            f"A page became {count} image tokens where its layout ({layout}) has {len(cells)} places.",
            hint="The processor that came with this checkpoint splits images in a way that is not known.",
        )
    boxes[is_image] = cells
    return boxes


def grid(rows: int, cols: int) -> NDArray[np.float32]:
    """The cells of a grid over the whole page, row by row: float32 [rows * cols, 4]."""
    y, x = np.divmod(np.arange(rows * cols), cols)
    return np.stack([x / cols, y / rows, (x + 1) / cols, (y + 1) / rows], axis=1).astype(np.float32)


def tiled_grid(tokens: list[str], side: int) -> NDArray[np.float32]:
    """``side`` x ``side`` cells in each tile that the tokens announce, then over the page: float32 [cells, 4].

    A page that fits into one tile is announced without any and has the last grid alone.
    """
    tags = [match for match in map(_TILE.fullmatch, tokens) if match]
    whole = grid(side, side)
    if not tags:
        return whole
    rows, cols = (max(int(tag[axis]) for tag in tags) for axis in (1, 2))
    tiles = grid(rows, cols)  # [tiles, 4]
    corner = tiles[:, None, [0, 1, 0, 1]]
    inside = corner + whole[None] / np.array([cols, rows, cols, rows], np.float32)  # [tiles, side * side, 4]
    return np.concatenate([inside.reshape(-1, 4), whole])


def _load(family: Family, name: str, folder: Path, **how: Any) -> Any:
    """What a class of the family reads from a folder. Only code of a checkpoint that is trusted is run."""
    load = _class(family, name).from_pretrained
    from transformers.utils import logging

    logging.disable_progress_bar()  # stderr is ours
    try:
        return load(folder, local_files_only=True, trust_remote_code=family is OWN_CODE, **how)
    except Exception as error:  # of any kind, over files that are damaged
        raise ChannelUnavailable(
            f"{name} can't be loaded from {folder}: {first_line(error)}.",
            hint="Fetch the model anew (`folioscope models pull`), or name another folder. "
            "The lexical channel works meanwhile.",
        ) from error


def _class(family: Family, name: str) -> Any:
    import_torch()  # first: it makes torchvision importable
    from importlib import import_module

    try:
        return getattr(import_module(family.module), name)
    except (ImportError, AttributeError) as error:
        raise ChannelUnavailable(f"{name} could not be imported from {family.module} ({error}).", hint=EXTRA) from None
