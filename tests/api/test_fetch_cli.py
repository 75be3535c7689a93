"""Documents from URLs on the command line, and where a server may not fetch them."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from api import fetch as way_out
from api.cli.main import app
from folioscope.errors import Unfetchable
from folioscope.settings import load_settings
from ingest import Library
from tests.api.test_fetch import listening, network, replying
from tests.support.serving import serving


def test_nothing_is_fetched_unless_the_settings_say_so(tmp_path) -> None:
    with (
        Library(settings=load_settings({"data_dir": tmp_path, "channels": "lexical"})) as library,
        serving(library) as off,
    ):
        answer = off.post("/v1/documents", json={"url": "http://93.184.216.34/a.pdf"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "fetch_urls" in answer.json()["detail"]


def test_on_the_command_line_addresses_stand_among_paths(make_pdf, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FOLIOSCOPE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FOLIOSCOPE_CHANNELS", "lexical")
    local, remote = make_pdf("local.pdf", ["Here."]), make_pdf("remote.pdf", ["There."]).read_bytes()
    with listening(replying("200 OK", remote)) as port:
        monkeypatch.setitem(way_out.fetch.__kwdefaults__, "network", network(port))
        done = CliRunner().invoke(app, ["ingest", str(local), "http://files.example/a/remote.pdf", "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["filename"], row["status"]) for row in rows] == [("local.pdf", "ready"), ("remote.pdf", "ready")]
    assert rows[1]["source"] == "http://files.example/a/remote.pdf"
    refused = CliRunner().invoke(app, ["ingest", "http://127.0.0.1:9/x.pdf"])
    assert isinstance(refused.exception, Unfetchable)
