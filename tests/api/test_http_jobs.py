"""Jobs over HTTP: their list, how long they take, failed documents again, streams when the server goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api.pace import Pace
from folioscope.domain import Coverage
from folioscope.settings import load_settings
from ingest import Library
from ingest.lookups import JobState
from tests.support.serving import finished, serving, upload


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = load_settings(
        {"data_dir": tmp_path_factory.mktemp("jobs"), "channels": "lexical", "model": "extractive"}
    )
    with Library(settings=settings) as opened:
        opened.create_collection()
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as found:
        yield found


def test_the_list_goes_from_the_newest_on(client, make_pdf) -> None:
    made = [upload(client, make_pdf(f"list{n}.pdf", [f"Page {n} of the list."])).json()["job"] for n in range(3)]
    for job in made:
        finished(client, job)
    client.post("/v1/collections", json={"name": "empty"})
    first = client.get("/v1/jobs", params={"limit": 2}).json()
    assert first["has_more"]
    rest = client.get("/v1/jobs", params={"limit": 100, "after": first["last_id"]}).json()
    found = first["data"] + rest["data"]
    assert {job["id"] for job in found} == set(made)
    assert {(job["state"], job["ready"], job["eta_s"]) for job in found} == {("done", 1, 0.0)}
    assert all("documents" not in job for job in found)
    assert [job["created"] for job in found] == sorted((job["created"] for job in found), reverse=True)
    assert client.get("/v1/jobs", params={"collection": "empty"}).json()["data"] == []
    assert client.get("/v1/jobs", params={"after": "job_none"}).status_code == 422


def test_a_failed_document_is_tried_again(client, tmp_path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.7 and then nothing that makes sense")
    job = upload(client, path).json()["job"]
    assert finished(client, job)["failed"] == 1
    again = client.post(f"/v1/jobs/{job}/retry")
    assert again.status_code == 200
    assert finished(client, job)["documents"][0]["error"]["code"] == "document_corrupt"
    assert client.post("/v1/jobs/job_none/retry").status_code == 404


def state(done: int, *, known: int = 100, queued: int = 0, channels: dict[str, Coverage] | None = None) -> JobState:
    counts = {"processing": 1, "queued": queued}
    return JobState("job_1", "ingest", "col_1", "", False, counts, Coverage(done, known), channels or {})


def test_the_time_left_is_at_the_rate_that_was_seen() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.eta_s(state(0), ()) is None  # nobody has looked before
    now[0] = 10.0
    assert pace.eta_s(state(0), ()) is None  # nothing came along
    now[0] = 20.0
    assert pace.eta_s(state(20), ()) == 80.0
    assert pace.eta_s(state(20, queued=1), ()) == 180.0  # one more, as long as the other
    now[0] = 200.0
    assert pace.eta_s(state(20), ()) is None  # it has stood still for the last minute
    filling = state(100, channels={"visual": Coverage(10, 100), "gone": Coverage(0, 100)})
    assert pace.eta_s(filling, ("visual",)) == pytest.approx(90 * 180 / 10, rel=0.2)
    assert pace.eta_s(filling, ("visual", "gone")) is None
    assert pace.eta_s(state(100), ()) == 0.0


def test_how_many_pages_there_are_is_unknown_until_one_document_was_opened() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    waiting = JobState("job_1", "ingest", "col_1", "", False, {"queued": 3}, Coverage(0, 0), {})
    for now[0] in (0.0, 5.0):
        assert pace.eta_s(waiting, ()) is None


def test_a_stream_of_a_jobs_news_does_not_hold_the_server(tmp_path: Path) -> None:
    import pymupdf

    path = tmp_path / "long.pdf"
    with pymupdf.open() as pdf:
        for page in range(1500):
            pdf.new_page().insert_text((40, 60), f"page {page}")
        pdf.save(path)
    environment = {**os.environ, "FOLIOSCOPE_DATA_DIR": str(tmp_path / "data"), "FOLIOSCOPE_CHANNELS": "lexical"}
    program = [sys.executable, "-c", "from api.cli.main import main; main()", "serve", "--port", "0"]
    with subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True) as process:
        address = process.stderr.readline().split(" at ")[1].split(";")[0]
        with httpx2.Client(base_url=address, timeout=60, trust_env=False) as client:
            client.post("/v1/collections", json={"name": "default"})
            job = upload(client, path).json()["job"]
            opened, ended = threading.Event(), threading.Event()

            def listen() -> None:
                with client.stream("GET", f"/v1/jobs/{job}/events") as response:
                    for _ in response.iter_lines():
                        opened.set()
                ended.set()

            threading.Thread(target=listen, daemon=True).start()
            assert opened.wait(60)
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert ended.wait(30)
            took = time.monotonic() - started
        assert process.wait(60) == 0
        assert took < 4.0  # less than the grace that requests have
