"""What docs/conversations.md shows is what a server answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api import samples
from tests.support.answering import REWRITING, drafted, reading_server
from tests.support.serving import finished, upload
from tests.support.vendors import Asked, Vendors

PAGE = (Path(__file__).parents[2] / "docs" / "conversations.md").read_text(encoding="utf-8")
REPORT = "skerrow-ferries-annual-report-2025.pdf"
QUOTE = "dividend of 0.35 euros a share"
NAMES = {"conversation": "CONVERSATION", "answer": "ANSWER", "document": "DOCUMENT"}


def replying(asked: Asked) -> str:
    if REWRITING in asked.system:
        return "What dividend did the board propose for the year before 2025?"
    if asked.schema and "data" in asked.schema["properties"]:
        evidence = [{"field": "/dividend", "page": 1, "quote": QUOTE}]
        return json.dumps({"data": {"dividend": 0.35}, "evidence": evidence})
    place = next(number for number, page in enumerate(asked.text.split("Words of ")[1:], 1) if QUOTE in page)
    if "the year before 2025" in asked.texts[-1]:
        return drafted(("None was paid.", place, "after two years in which we paid none"))
    return drafted(("The board proposes 0.35 euros a share.", place, QUOTE))


def holds(shown: Any, given: Any) -> bool:
    """Whether what is shown stands in what was given; an ellipsis stands for anything."""
    if isinstance(shown, dict):
        return isinstance(given, dict) and all(key in given and holds(shown[key], given[key]) for key in shown)
    if isinstance(shown, list):
        return isinstance(given, list) and len(given) >= len(shown) and all(map(holds, shown, given))
    if isinstance(shown, str) and "…" in shown:
        return isinstance(given, str) and given.startswith(shown.partition("…")[0])
    return bool(shown == given)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_example_does_what_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
    pytest.importorskip("jsonschema", reason="needs the extra: pip install 'folioscope[extract]'")
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 22
    known = {"PATH": os.environ["PATH"]}
    with Vendors(reply=replying) as vendors, reading_server(vendors, tmp_path) as (_, client):
        with samples.folder() as folder:
            finished(client, upload(client, folder / REPORT).json()["job"])
        given = ""
        for kind, text in blocks:
            if kind == "sh":
                script = text.replace("localhost:8000", str(client.base_url).rstrip("/"))
                done = subprocess.run(
                    ["bash", "-eu", "-c", script], env=known, capture_output=True, text=True, timeout=60, check=False
                )
                given = done.stdout
                assert done.returncode == 0, (text, done.stderr)
            elif kind == "json":
                found = json.loads(given)
                assert holds(json.loads(text), found), (text, given)
                for each in [found, *found.get("data", [])] if isinstance(found.get("data"), list) else [found]:
                    if each["object"] in NAMES:
                        known[NAMES[each["object"]]] = each["id"]
            else:
                lines = given.splitlines()
                for line in text.splitlines():
                    assert any(each.startswith(line.partition("…")[0]) for each in lines), (line, given)
        assert vendors.complaints == []
