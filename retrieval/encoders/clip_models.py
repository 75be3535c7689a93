"""CLIP and SigLIP checkpoints, opened with the library that they were made for, as two functions and a scale.

`find` looks at files only; `load` needs torch and the library, open_clip or transformers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from folioscope.errors import ChannelUnavailable, ConfigError
from retrieval.encoders.hub import fetch, is_repo
from retrieval.encoders.sentence_model import sample
from retrieval.encoders.torch_device import EXTRA, Device, import_torch

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

FORMS = "a folder, local-dir:FOLDER, hf-hub:ORG/MODEL, an open_clip MODEL/TAG such as ViT-B-32/openai, or ORG/MODEL"
OPEN_CLIP_CONFIG = "open_clip_config.json"
# The length of a vector and the image's size stand in the configuration, except where they have the library's default.
TRANSFORMERS = {
    "clip": ("projection_dim", 512),
    "siglip": ("hidden_size", 768),
    "siglip2": ("hidden_size", 768),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a model lies. ``name`` as shown; ``source``: a folder, or an open_clip (architecture, tag)."""

    library: Literal["open_clip", "transformers"]
    name: str
    source: Path | tuple[str, str]
    dim: int
    image_size: int
    revision: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A loaded model. Vectors are as the model gives them: not normalised, in its precision, on its device.

    ``images``: upright RGB images -> [n, dim]; ``texts``: strings -> [n, dim]; ``scale``: what a cosine is multiplied
    with to become a logit (CLIP: the inverse of the temperature that was learned).
    """

    images: Callable[[Sequence[Image]], Tensor]
    texts: Callable[[Sequence[str]], Tensor]
    scale: float


# --- finding --------------------------------------------------------------------------------------------------------


def find(spec: str) -> Checkpoint:
    """The checkpoint that ``spec`` names, one of `FORMS`; fetches it from the hub where it is not here.

    Raises `ConfigError` for a name of another form, a folder without a checkpoint or a model of an unknown class,
    `ChannelUnavailable` where files are missing and can't be fetched.
    """
    schema, _, rest = spec.partition(":")
    if schema == "local-dir" and rest:
        return _open_clip_folder(Path(rest).expanduser(), Path(rest).name)
    if schema == "hf-hub" and is_repo(rest):
        return _open_clip_folder(fetch(rest, ["open_clip_model.safetensors"]), rest)
    folder = Path(spec).expanduser()
    if folder.is_dir():
        known = (folder / OPEN_CLIP_CONFIG).is_file()
        return (_open_clip_folder if known else _transformers_folder)(folder, folder.resolve().name)
    architecture, _, tag = spec.partition("/")
    if tag and _architecture(architecture):
        return _open_clip_tag(architecture, tag)
    if is_repo(spec):
        return _transformers_folder(fetch(spec, ["model*.safetensors"]), spec)
    raise ConfigError(f"The CLIP model {spec!r} is neither a folder nor a name of a known form.", hint=f"Say {FORMS}.")


def _open_clip_folder(folder: Path, name: str) -> Checkpoint:
    model = _read(folder, OPEN_CLIP_CONFIG).get("model_cfg", {})
    return Checkpoint("open_clip", name, folder, *_open_clip_sizes(model), _revision(folder, ("open_clip_",)))


def _open_clip_tag(architecture: str, tag: str) -> Checkpoint:
    config = json.loads(_architecture(architecture).read_text(encoding="utf-8"))  # type: ignore[union-attr]
    return Checkpoint(
        "open_clip", f"{architecture}/{tag}", (architecture, tag), *_open_clip_sizes(config), f"open_clip {tag}"
    )


def _open_clip_sizes(config: dict[str, Any]) -> tuple[int, int]:
    size = config["vision_cfg"].get("image_size", 224)
    return int(config["embed_dim"]), int(size if isinstance(size, int) else max(size))


def _transformers_folder(folder: Path, name: str) -> Checkpoint:
    config = _read(folder, "config.json")
    kind = config.get("model_type")
    if kind not in TRANSFORMERS:
        raise ConfigError(
            f"{name} is a model of type {kind!r}; for the image channel these are known: {', '.join(TRANSFORMERS)}.",
            hint=f"Say {FORMS}.",
        )
    field, default = TRANSFORMERS[kind]
    vision = config.get("vision_config") or {}
    dim = int((config if kind == "clip" else vision).get(field, default))
    return Checkpoint("transformers", name, folder, dim, int(vision.get("image_size", 224)), _revision(folder, ()))


def _read(folder: Path, file: str) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{folder} is no CLIP checkpoint: it has no {file}.", hint=f"Say {FORMS}.") from None
    except ValueError as error:
        raise ConfigError(f"{folder / file} is no valid JSON: {error}.", hint="Fetch the model again.") from None
    return config


def _revision(folder: Path, prefixes: tuple[str, ...]) -> str:
    """12 hexadecimal digits that change with weights, tokenizer and configuration; takes milliseconds."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name.startswith(prefixes or "")]
    weights = [path for path in files if path.suffix in (".safetensors", ".bin", ".pt")]
    if not weights:
        raise ConfigError(f"{folder} has a configuration and no weights.", hint="Fetch the model again.")
    digest = hashlib.sha256()
    for path in files:
        if path in weights:
            sample(path, digest)
        elif path.suffix in (".json", ".txt", ".model"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _architecture(name: str) -> Path | None:
    """open_clip's own description of an architecture, found without importing it (which imports torch)."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "model_configs" / f"{name}.json"
    return path if path.is_file() else None


# --- loading --------------------------------------------------------------------------------------------------------


def load(checkpoint: Checkpoint, device: Device) -> Clip:
    """The model, weights included. Raises `ChannelUnavailable` where the library or the weights are missing."""
    import_torch()
    return (_load_open_clip if checkpoint.library == "open_clip" else _load_transformers)(checkpoint, device)


def _load_open_clip(checkpoint: Checkpoint, device: Device) -> Clip:
    torch = import_torch()
    try:
        import open_clip
    except ImportError as error:
        raise ChannelUnavailable(f"{checkpoint.name} needs open_clip ({error}).", hint=EXTRA) from None
    source = checkpoint.source
    name, tag = (f"local-dir:{source}", None) if isinstance(source, Path) else source
    try:
        model, transform = open_clip.create_model_from_pretrained(name, pretrained=tag, device=device.device)
    except (RuntimeError, OSError, ValueError) as error:
        raise _unloadable(checkpoint, str(error).strip().splitlines()[0]) from error
    model = model.to(device.dtype).eval()
    tokenizer = open_clip.get_tokenizer(name)

    def images(batch: Sequence[Image]) -> Tensor:
        pixels = torch.stack([transform(image) for image in batch])  # float32 [n, 3, side, side]
        return model.encode_image(pixels.to(device.device, device.dtype))

    def texts(batch: Sequence[str]) -> Tensor:
        return model.encode_text(tokenizer(list(batch)).to(device.device))  # int64 [n, context]

    return Clip(images, texts, float(model.logit_scale.detach().float().exp()))


def _load_transformers(checkpoint: Checkpoint, device: Device) -> Clip:
    try:
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
    except ImportError as error:
        raise ChannelUnavailable(f"{checkpoint.name} needs transformers ({error}).", hint=EXTRA) from None
    folder = checkpoint.source
    try:
        model, report = AutoModel.from_pretrained(
            folder, dtype=device.dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise _unloadable(checkpoint, str(error).strip().splitlines()[0]) from error
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        raise _unloadable(checkpoint, f"its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    model = model.to(device.device).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # Pillow's resampling whether torchvision is there or not: the same page has the same vector everywhere.
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    # SigLIP was trained on texts padded to its full length, without a mask.
    padding = True if model.config.model_type == "clip" else "max_length"
    context = model.config.text_config.max_position_embeddings

    def images(batch: Sequence[Image]) -> Tensor:
        given = processor(images=list(batch), return_tensors="pt").to(device.device)
        given["pixel_values"] = given["pixel_values"].to(device.dtype)  # [n, 3, side, side], or patches for NaFlex
        return model.get_image_features(**given).pooler_output

    def texts(batch: Sequence[str]) -> Tensor:
        given = tokenizer(
            list(batch), padding=padding, truncation=True, max_length=context, return_tensors="pt"
        )  # int64 [n, tokens]
        wanted = {name: given[name].to(device.device) for name in ("input_ids", "attention_mask") if name in given}
        if padding == "max_length":
            wanted.pop("attention_mask", None)
        return model.get_text_features(**wanted).pooler_output

    return Clip(images, texts, float(model.logit_scale.detach().float().exp()))


def _unloadable(checkpoint: Checkpoint, why: str) -> ChannelUnavailable:
    return ChannelUnavailable(
        f"{checkpoint.library} can't load {checkpoint.name}: {why[:300]}.",
        hint="Fetch the model anew where there is a network (`folioscope models pull`), or name another folder. "
        "The lexical channel works meanwhile.",
    )
