"""Any sentence-transformers model on torch: texts -> unit vectors, with the model's own modules and prompts."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folioscope.errors import ChannelUnavailable
from retrieval.encoders.checkpoints import untrusted
from retrieval.encoders.hub import fetch
from retrieval.encoders.sentence_model import sample
from retrieval.encoders.torch_device import EXTRA, Device, choose_device, first_line, import_torch, need_torch

BATCH = 16  # texts through the model at once


class SentenceTransformerModel:
    """``name``: a folder or a hub id. Implements `retrieval.encoders.semantic.TextModel`; for use by several threads.

    Finds the files, or fetches them; torch and the weights come at the first use. Raises `ChannelUnavailable` where
    files can't be had or sentence-transformers is not installed, `ConfigError` for a model with code of its own unless
    it is trusted (``trust_remote_code``).
    """

    def __init__(self, name: str, *, trust_remote_code: bool = False) -> None:
        need_torch()
        folder = Path(name).expanduser()
        self.name = folder.resolve().name if folder.is_dir() else name
        self.folder = folder if folder.is_dir() else fetch(name, code=trust_remote_code)
        self.trust_remote_code = trust_remote_code
        # The library itself runs code that lies in a folder, whatever it is told.
        if not trust_remote_code and (code := own_code(self.folder)):
            raise untrusted(self.name, ", ".join(code))
        self._lock = threading.RLock()  # a tokenizer that pads for one thread can't count for another

    @cached_property
    def revision(self) -> str:
        """12 hexadecimal digits that change with the weights, the configuration and the tokenizer."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in (".safetensors", ".bin"):
                sample(path, digest)
            elif path.suffix in (".json", ".txt", ".model", ".py"):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:12]

    @cached_property
    def device(self) -> Device:
        """Where the model runs."""
        return choose_device()

    @cached_property
    def model(self) -> Any:
        """The loaded sentence_transformers.SentenceTransformer."""
        with self._lock:  # two threads may ask at once
            return vars(self).get("model") or self._load()

    def _load(self) -> Any:
        import_torch()
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging
        except ImportError as error:
            raise ChannelUnavailable(f"{self.name} needs sentence-transformers ({error}).", hint=EXTRA) from None
        logging.disable_progress_bar()  # stderr is ours
        try:
            return SentenceTransformer(
                str(self.folder),
                device=str(self.device.device),
                local_files_only=True,
                trust_remote_code=self.trust_remote_code,
                model_kwargs={"dtype": self.device.dtype},
            )
        except Exception as error:  # of any kind, over files that are damaged
            raise ChannelUnavailable(
                f"sentence-transformers can't load {self.folder}: {first_line(error)}.",
                hint="Fetch the model anew (`folioscope models pull`), or name another folder.",
            ) from error

    @cached_property
    def dim(self) -> int:
        """Length of a vector; known once the model is loaded."""
        return int(self.encode(["a"]).shape[1])

    def token_ends(self, words: Sequence[str]) -> NDArray[np.int64]:
        """int64 [words]: the number of tokens up to each word's end, each word taken by itself."""
        if not words:
            return np.zeros(0, np.int64)
        tokenizer = self.model.tokenizer
        with self._lock:
            if callable(tokenizer):
                ids = tokenizer(list(words), add_special_tokens=False)["input_ids"]
            else:  # of static embeddings, which have one of the library tokenizers
                ids = [each.ids for each in tokenizer.encode_batch(list(words), add_special_tokens=False)]
        return np.cumsum([len(each) for each in ids], dtype=np.int64)

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1; the model's own prompts for queries and documents go before."""
        encode = self.model.encode_query if query else self.model.encode_document
        with self._lock:
            vectors: NDArray[np.float32] = encode(
                list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        return vectors.astype(np.float32, copy=False)


def own_code(folder: Path) -> list[str]:
    """What of a model would be run as Python: its files, or else the classes that its configuration asks for."""
    if files := sorted(path.name for path in folder.rglob("*.py")):
        return files
    asked = list(_json(folder / "config.json", {}).get("auto_map", {}).values())
    modules = [module.get("type", "") for module in _json(folder / "modules.json", [])]
    return asked + [module for module in modules if not module.startswith("sentence_transformers.")]


def _json(path: Path, default: Any) -> Any:
    """A file's content where it is JSON of the expected kind; what else is wrong with it is told by who loads it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default
    return found if isinstance(found, type(default)) else default
