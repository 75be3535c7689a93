"""CLIP and SigLIP checkpoints, opened with the library that they were made for, as two functions and a scale.

`find` looks at files only; `load` needs torch and the library, open_clip or transformers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from folioscope.errors import ChannelUnavailable, ConfigError
from retrieval.encoders.checkpoints import need_tokenizer
from retrieval.encoders.hub import fetch, is_repo
from retrieval.encoders.sentence_model import sample
from retrieval.encoders.torch_device import EXTRA, Device, first_line, import_torch

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

FORMS = "a folder, local-dir:FOLDER, hf-hub:ORG/MODEL, an open_clip MODEL/TAG such as ViT-B-32/openai, or ORG/MODEL"
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = (["open_clip_model.safetensors"], ["open_clip_pytorch_model.bin"])  # and what was before
# The length of a vector and the image's size stand in the configuration, except where they have the library's default.
TRANSFORMERS = {
    "clip": ("projection_dim", 512),
    "siglip": ("hidden_size", 768),
    "siglip2": ("hidden_size", 768),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a model lies, its files being here. ``name``: as shown to people.

    ``tag``: open_clip's (architecture, tag) where the folder does not describe its model itself.
    """

    library: Literal["open_clip", "transformers"]
    name: str
    folder: Path
    dim: int
    image_size: int
    revision: str
    tag: tuple[str, str] | None = None


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
        return _open_clip_folder(fetch(rest, *OPEN_CLIP_WEIGHTS), rest)
    folder = Path(spec).expanduser()
    if folder.is_dir():
        known = (folder / OPEN_CLIP_CONFIG).is_file()
        return (_open_clip_folder if known else _transformers_folder)(folder, folder.resolve().name)
    architecture, _, tag = spec.partition("/")
    if tag and _is_architecture(architecture):
        return _open_clip_tag(architecture, tag)
    if is_repo(spec):
        return _transformers_folder(fetch(spec, ["model*.safetensors"]), spec)
    raise ConfigError(f"The CLIP model {spec!r} is neither a folder nor a name of a known form.", hint=f"Say {FORMS}.")


def _open_clip_folder(folder: Path, name: str) -> Checkpoint:
    config = _read(folder, OPEN_CLIP_CONFIG)
    with _described_by(folder / OPEN_CLIP_CONFIG):
        sizes = _open_clip_sizes(config["model_cfg"])
    return Checkpoint("open_clip", name, folder, *sizes, _revision(folder, "open_clip_"))


def _open_clip_tag(architecture: str, tag: str) -> Checkpoint:
    """All of open_clip's tags name a repository of the hub, which mostly describes its model."""
    open_clip, name = _import_open_clip(), f"{architecture}/{tag}"
    config = open_clip.get_pretrained_cfg(architecture, tag)
    if not config:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise ConfigError(f"open_clip has no weights {name!r}.", hint=f"Its tags of this architecture: {known}.")
    repo, _, file = config["hf_hub"].rpartition("/")
    folder = fetch(repo, [file]) if file else fetch(repo, *OPEN_CLIP_WEIGHTS)
    if (folder / OPEN_CLIP_CONFIG).is_file():
        return _open_clip_folder(folder, name)
    sizes = _open_clip_sizes(open_clip.get_model_config(architecture))
    return Checkpoint("open_clip", name, folder, *sizes, _revision(folder, file), (architecture, tag))


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
    with _described_by(folder / "config.json"):
        vision = config.get("vision_config") or {}
        dim = int((config if kind == "clip" else vision).get(field, default))
        size = int(vision.get("image_size", 224))
    return Checkpoint("transformers", name, folder, dim, size, _revision(folder, ""))


def _read(folder: Path, file: str) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / file).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{folder} is no CLIP checkpoint: it has no {file}.", hint=f"Say {FORMS}.") from None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{folder / file} is no JSON object: {error}.", hint="Fetch the model again.") from None


@contextmanager
def _described_by(path: Path) -> Iterator[None]:
    """Raises `ConfigError` where the configuration lacks what it must say, or has it in another form."""
    try:
        yield
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} does not describe a CLIP model: {first_line(error)}.", hint="Fetch the model again."
        ) from None


def _revision(folder: Path, prefix: str) -> str:
    """12 hexadecimal digits that change with the weights (files of this prefix), tokenizer and configuration."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    weights = [
        path for path in files if path.suffix in (".safetensors", ".bin", ".pt") and path.name.startswith(prefix)
    ]
    if not weights:
        raise ConfigError(f"{folder} has a configuration and no weights.", hint="Fetch the model again.")
    digest = hashlib.sha256()
    for path in weights:
        sample(path, digest)
    for path in files:
        if path.suffix in (".json", ".txt", ".model"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _is_architecture(name: str) -> bool:
    """Whether open_clip describes it; without importing open_clip, which imports torch."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        return False
    return (Path(spec.origin).parent / "model_configs" / f"{name}.json").is_file()


# --- loading --------------------------------------------------------------------------------------------------------


def load(checkpoint: Checkpoint, device: Device) -> Clip:
    """The model, weights included. Raises `ChannelUnavailable` where the library or the weights are missing."""
    import_torch()
    return (_load_open_clip if checkpoint.library == "open_clip" else _load_transformers)(checkpoint, device)


def _load_open_clip(checkpoint: Checkpoint, device: Device) -> Clip:
    torch, open_clip = import_torch(), _import_open_clip()
    name, how = f"local-dir:{checkpoint.folder}", {}
    if checkpoint.tag:
        name, config = checkpoint.tag[0], open_clip.get_pretrained_cfg(*checkpoint.tag)
        how = {f"image_{key}": config[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in config}
        how["pretrained"] = str(checkpoint.folder / Path(config["hf_hub"]).name)
    try:
        model, transform = open_clip.create_model_from_pretrained(name, device=device.device, **how)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # of any kind, over files that are damaged
        raise _unloadable(checkpoint, first_line(error)) from error
    model = model.to(device.dtype).eval()

    def images(batch: Sequence[Image]) -> Tensor:
        pixels = torch.stack([transform(image) for image in batch])  # float32 [n, 3, side, side]
        return model.encode_image(pixels.to(device.device, device.dtype))

    def texts(batch: Sequence[str]) -> Tensor:
        return model.encode_text(tokenizer(list(batch)).to(device.device))  # int64 [n, context]

    return Clip(images, texts, float(model.logit_scale.detach().float().exp()))


def _import_open_clip() -> Any:
    import_torch()
    try:
        import open_clip
    except ImportError as error:
        raise ChannelUnavailable(f"This CLIP needs open_clip ({error}).", hint=EXTRA) from None
    return open_clip


def _load_transformers(checkpoint: Checkpoint, device: Device) -> Clip:
    try:
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise ChannelUnavailable(f"{checkpoint.name} needs transformers ({error}).", hint=EXTRA) from None
    logging.disable_progress_bar()  # stderr is ours
    logging.set_verbosity_error()  # what matters is checked below; SigLIP's own configuration earns warnings
    need_tokenizer(checkpoint.folder)
    folder, how = checkpoint.folder, {"local_files_only": True, "trust_remote_code": False}
    try:
        model, report = AutoModel.from_pretrained(folder, dtype=device.dtype, output_loading_info=True, **how)
        tokenizer = AutoTokenizer.from_pretrained(folder, **how)
        # Pillow's resampling whether torchvision is there or not: the same page has the same vector everywhere.
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil", **how)
    except Exception as error:  # of any kind, over files that are damaged
        raise _unloadable(checkpoint, first_line(error)) from error
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        raise _unloadable(checkpoint, f"its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    model = model.to(device.device).eval()
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
        f"{checkpoint.library} can't load {checkpoint.name}: {why}.",
        hint="Fetch the model anew where there is a network (`folioscope models pull`), or name another folder. "
        "The lexical channel works meanwhile.",
    )
