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

from folioscope.errors import ChannelUnavailable, ConfigError
from retrieval.encoders.sentence_model import sample

FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
HUB_TIMEOUT_S = 5.0
MEANWHILE = "The lexical channel works meanwhile."


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


def find_checkpoint(name: str) -> Checkpoint:
    """The checkpoint in a folder, in the hub's cache, or, where it is in neither, downloaded from the hub.

    Raises `ConfigError` for a folder that holds no checkpoint, `ChannelUnavailable` where the hub can't be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _read(folder.resolve().name, folder, f"the folder {folder}")
    if not _is_hub_id(name):
        raise ConfigError(
            f"{name!r} is neither a folder nor an id on the hub.",
            hint="Name a folder with config.json and *.safetensors, or an id such as organisation/model.",
        )
    return _read(name, _cached(name) or _download(name), f"the hub's {name}")


def weight_shape(checkpoint: Checkpoint, name: str) -> tuple[int, ...] | None:
    """The shape of the weight whose name is or ends with ``name``, read from the files' headers; None without one."""
    from safetensors import safe_open

    for path in sorted(checkpoint.folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for key in file.keys():  # noqa: SIM118 - not a dict
                if key == name or key.endswith(f".{name}"):
                    return tuple(file.get_slice(key).get_shape())
    return None


def weight_bytes(checkpoint: Checkpoint) -> int:
    """Size of the weights, those of an adapter's base included."""
    own = sum(path.stat().st_size for path in checkpoint.folder.glob("*.safetensors"))
    return own + (weight_bytes(checkpoint.base) if checkpoint.base else 0)


def _read(name: str, folder: Path, where: str) -> Checkpoint:
    adapter, full = folder / "adapter_config.json", folder / "config.json"
    path = adapter if adapter.is_file() else full
    if not path.is_file() or not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"There is no checkpoint in {where}: "
            f"{'it has no *.safetensors' if path.is_file() else 'it has no config.json'}.",
            hint="A checkpoint is what save_pretrained writes: config.json, *.safetensors, tokenizer and processor.",
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path.name} in {where} is no JSON: {error}.", hint="Copy the checkpoint again.") from None
    base = find_checkpoint(config["base_model_name_or_path"]) if path == adapter else None
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
    for pattern in FILES:
        yield from sorted(folder.glob(pattern))


def _is_hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(part and not part.startswith((".", "~")) for part in parts)


def _cached(name: str) -> Path | None:
    hub = _hub()
    try:
        folder = Path(hub.snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        return None
    return folder if any(folder.glob("*.safetensors")) else None


def _download(name: str) -> Path:
    """One question with a short timeout comes first: the hub's own client would retry for minutes."""
    hub = _hub()
    try:
        hub.HfApi().model_info(name, timeout=HUB_TIMEOUT_S)
        return Path(hub.snapshot_download(name, allow_patterns=FILES))
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        raise ChannelUnavailable(
            f"The hub has no model {name!r} that is open to you ({str(error).splitlines()[0]}).",
            hint=f"Check the id; for a gated model set HF_TOKEN. {MEANWHILE}",
        ) from None
    except Exception as error:  # noqa: BLE001 - requests', httpx's or httpx2's errors, by the client's version
        raise ChannelUnavailable(
            f"The model {name} is not on this machine and the hub can't be reached ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no answer'}).",
            hint=f"Download it where there is a network (hf download {name}), copy the folder here and name the folder "
            f"instead of the id; or set HF_HOME to a cache that holds it, or HF_ENDPOINT to a mirror. {MEANWHILE}",
        ) from None


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise ChannelUnavailable(
            f"Models are found through huggingface_hub, which is not installed ({error}).",
            hint="pip install 'folioscope[vision]'",
        ) from None
    return huggingface_hub
