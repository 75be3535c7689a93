"""Checkpoints on disk: where one lies, what its config says, which revision it is.

A checkpoint is named by a folder or by its id on the Hugging Face hub. Nothing here imports torch or loads weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from folioscope.errors import ConfigError
from retrieval.encoders.hub import CODE, SMALL_FILES, WEIGHTS, fetch, is_repo
from retrieval.encoders.sentence_model import sample

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is on this machine.

    ``name``: the hub id or the folder's name. ``revision``: the commit of a hub snapshot, else a hash of what the
    folder holds. ``config``: its config.json, or for an adapter its adapter_config.json; ``base``: what it adapts.
    """

    name: str
    folder: Path
    revision: str
    config: Mapping[str, Any]
    base: Checkpoint | None = None


def find_checkpoint(name: str, *, code: bool = False) -> Checkpoint:
    """The checkpoint in a folder, in the hub's cache, or, where it is in neither, downloaded from the hub.

    ``code``: the Python files that come with it are fetched, too. Raises `ConfigError` for a folder that holds no
    checkpoint, `ChannelUnavailable` where the hub can't be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _read(folder.resolve().name, folder, f"the folder {folder}", code)
    if not is_repo(name):
        raise ConfigError(
            f"{name!r} is neither a folder nor an id on the hub.",
            hint="Name a folder with config.json and *.safetensors, or an id such as organisation/model.",
        )
    return _read(name, fetch(name, older=(), code=code), f"the hub's {name}", code)


def need_tokenizer(folder: Path) -> None:
    """Raises `ConfigError` for a folder without a tokenizer: some classes would quietly make up one without words."""
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ConfigError(
            f"There is no tokenizer in {folder}.", hint=f"Copy the checkpoint's own, one of {', '.join(TOKENIZERS)}."
        )


def untrusted(name: str, code: str) -> ConfigError:
    """The refusal of a model that is read by ``code`` of its own."""
    return ConfigError(
        f"{name} comes with Python code ({code}), which is not run unless you ask for it.",
        hint="Such code can do whatever you can do on this machine. Read it first; then set trust_remote_code "
        "(FOLIOSCOPE_TRUST_REMOTE_CODE=true). Or take a model without code of its own: `folioscope models ls`.",
    )


def weight_shape(checkpoint: Checkpoint, name: str) -> tuple[int, ...] | None:
    """The shape of the weight whose name is or ends with ``name``, read from the files' headers; None without one.

    Raises `ConfigError` for a file that is damaged or was cut short.
    """
    from safetensors import SafetensorError, safe_open

    for path in sorted(checkpoint.folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                for key in file.keys():  # noqa: SIM118 - not a dict
                    if key == name or key.endswith(f".{name}"):
                        return tuple(file.get_slice(key).get_shape())
        except SafetensorError as error:
            raise ConfigError(f"{path} holds no weights: {error}.", hint="Copy or fetch the file again.") from None
    return None


def weight_bytes(checkpoint: Checkpoint) -> int:
    """Size of the weights, those of an adapter's base included."""
    own = sum(path.stat().st_size for path in checkpoint.folder.glob("*.safetensors"))
    return own + (weight_bytes(checkpoint.base) if checkpoint.base else 0)


def _read(name: str, folder: Path, where: str, code: bool) -> Checkpoint:
    adapter, full = folder / "adapter_config.json", folder / "config.json"
    path = adapter if adapter.is_file() else full
    if not path.is_file() or not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"There is no checkpoint in {where}: "
            f"{'it has no *.safetensors' if path.is_file() else 'it has no config.json'}.",
            hint="A checkpoint is what save_pretrained writes: config.json, *.safetensors, tokenizer and processor.",
        )
    try:
        config = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path.name} in {where} is no JSON object: {error}.", hint="Copy the checkpoint again."
        ) from None
    adapted = config.get("base_model_name_or_path") if path == adapter else None
    if path == adapter and not adapted:
        raise ConfigError(
            f"{path.name} in {where} does not say which model it adapts.", hint="Set base_model_name_or_path in it."
        )
    base = find_checkpoint(adapted, code=code) if adapted else None
    revision = _revision(folder) + (f"+{base.revision}" if base else "")
    return Checkpoint(name, folder, revision, config, base)


def _revision(folder: Path) -> str:
    """Twelve digits: of the commit of a hub snapshot, else of a hash of the configs and of samples of the weights."""
    resolved = folder.absolute()
    if resolved.parent.name == "snapshots":
        return resolved.name[:12]
    digest = hashlib.sha256()
    for path in _identifying_files(folder):
        digest.update(path.name.encode())
        sample(path, digest)
    return digest.hexdigest()[:12]


def _identifying_files(folder: Path) -> Iterator[Path]:
    for pattern in (*SMALL_FILES, *WEIGHTS, *CODE):
        yield from sorted(folder.glob(pattern))
