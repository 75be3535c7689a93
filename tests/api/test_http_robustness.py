"""Broken, locked, huge and odd files over HTTP: they end as they do elsewhere, or are refused with the same code.

Without OCR: what becomes of a file does not hang on its words.
"""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

from benchmarks import robustness
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import serving, upload


def ended(client: httpx2.Client, answer: httpx2.Response) -> tuple[str, str | int]:
    """(``failed``, code), or (``ready`` or ``page_problems``, pages)."""
    if answer.status_code >= 400:
        assert answer.status_code < 500, answer.text
        return "failed", answer.json()["code"]
    found = client.get(f"/v1/documents/{answer.json()['document']['id']}").json()
    assert found["status"] in ("ready", "failed"), found
    if found["status"] == "failed":
        return "failed", found["error"]["code"]
    return ("page_problems" if found["page_problems"] else "ready"), found["pages"]


def expected(row: robustness.Outcome) -> tuple[str, str | int]:
    """As `ended`, from the golden table; a document none of whose pages can be read has failed."""
    problems = row.get("problems", {})
    if row["outcome"] == "failed":
        return "failed", row["code"]
    if sum(problems.values()) == row["pages"]:
        return "failed", next(iter(problems))
    return row["outcome"], row["pages"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_file_ends_over_http_as_it_does_on_the_command_line(corpus: Path, tmp_path) -> None:
    golden = json.loads(robustness.GOLDEN.read_text(encoding="utf-8"))
    limits = {
        "memory_limit_mb": robustness.LIMITS.memory_mb,
        "max_pages": robustness.LIMITS.max_pages,
        "max_pixels": robustness.LIMITS.max_pixels,
    }
    given = {"data_dir": tmp_path / "data", "channels": "lexical", "ocr": "off", "model": "extractive", **limits}
    with Library(settings=load_settings(given)) as library, serving(library) as client:
        cases = robustness.cases(corpus / "robustness")
        answers = {}
        for name, path, password in cases:
            collection = "locked" if password else "open"  # the same bytes with and without a password
            client.post("/v1/collections", json={"name": collection})
            fields = {"password": password} if password else {}
            answers[name] = upload(client, path, collection, **fields)
        library.run_outstanding()
        found = {name: ended(client, answer) for name, answer in answers.items()}
    assert found == {name: expected(row) for name, row in golden.items()}
