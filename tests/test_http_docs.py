"""What docs/http.md shows works as shown, and names every route."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api import samples
from api.webhooks import signature
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import serving

PAGE = (Path(__file__).parents[1] / "docs" / "http.md").read_text(encoding="utf-8")
CURL = 'curl() { command curl --fail-with-body --silent --show-error "$@"; }'


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path / "data", "channels": "lexical", "model": "extractive"})
    with samples.folder() as folder, Library(settings=settings) as library, serving(library) as client:
        script = "\n".join(["set -eu -o pipefail", CURL, f"folio={str(client.base_url).rstrip('/')}", *blocks("sh")])
        shutil.copytree(folder, tmp_path / "here")
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path / "here", capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert (tmp_path / "here" / "page.jpg").read_bytes().startswith(b"\xff\xd8")
    for said in ("event: job.done", '"status": "answered"', "0.35 euros", "event: answer.done", '"version": 2'):
        assert said in done.stdout, said


def test_it_names_every_route_and_no_other(tmp_path: Path) -> None:
    from api.app import create_app

    with Library(settings=load_settings({"data_dir": tmp_path, "channels": "lexical"})) as library:
        paths = create_app(library).openapi()["paths"]
    there = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    shown = set(re.findall(r"^\| `([A-Z]+ /[^`]*)`", PAGE, re.MULTILINE))
    assert shown - {"GET /openapi.json", "GET /docs"} == there


def test_the_signature_is_checked_as_shown() -> None:
    import time

    (code,) = blocks("python")
    scope: dict = {}
    exec(compile(code, "http.md", "exec"), scope)
    now = int(time.time())
    assert scope["is_ours"]("s", b"{}", signature("s", b"{}", now))
    assert not scope["is_ours"]("s", b"{ }", signature("s", b"{}", now))
    assert not scope["is_ours"]("t", b"{}", signature("s", b"{}", now))
    assert not scope["is_ours"]("s", b"{}", signature("s", b"{}", now - 1000))
