"""``--meta`` goes by what the catalog says now, not by what was said on ingest."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from api.cli.main import app
from folioscope.settings import load_settings
from ingest import Library
from ingest.lookups import set_metadata


def test_metadata_that_was_changed_counts_at_once(tmp_path, make_pdf, monkeypatch) -> None:
    monkeypatch.setenv("FOLIOSCOPE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FOLIOSCOPE_MODEL", "extractive")
    with Library(settings=load_settings({"channels": "lexical"})) as library:
        report = library.ingest(
            [make_pdf("a.pdf", ["Herons stand on one leg."])], metadata={"year": 2024, "draft": True}
        )
        set_metadata(library.catalog, report.outcomes[0].document_id, {"year": 2025, "draft": False})

    def found(*words: str) -> int:
        done = CliRunner().invoke(app, ["search", "herons", "--json", *words])
        assert done.exit_code == 0, done.output
        return len(json.loads(done.stdout)["hits"])

    assert found("--meta", "year=2025") == 1
    assert found("--meta", "year=2024") == 0
    assert found("--meta", "year=2025", "--meta", "draft=false") == 1
    assert found("--meta", "draft=0") == 0
    assert found("--meta", "year=2025", "-d", "a.pdf") == 1
    answered = CliRunner().invoke(app, ["ask", "What do herons do?", "--json", "--meta", "year=2024"])
    assert json.loads(answered.stdout)["status"] == "not_found"
