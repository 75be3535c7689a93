"""The first command that anybody runs, as `make demo` runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest


def test_the_demo_answers_cites_and_says_how_to_go_on(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("folioscope")
    if not program.exists():
        pytest.skip("the console script is not installed beside this Python")
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "FOLIOSCOPE_OCR": "off"}
    command = [program, "demo", "--once", "--data-dir", tmp_path / "data"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "[1]" in done.stdout
    assert "(exact)" in done.stdout
    assert (tmp_path / "data" / "demo.png").stat().st_size > 10_000
    assert f"{os.path.relpath(program)} ingest" in done.stderr  # no shell would find it by its name alone


def test_the_demo_serves_the_page_with_its_first_answer(tmp_path: Path) -> None:
    run = "import sys; from api.cli.main import main; sys.argv[0] = 'folioscope'; main()"
    command = [sys.executable, "-c", run, "demo", "--no-browser", "--data-dir", tmp_path / "data"]
    environment = {**os.environ, "FOLIOSCOPE_OCR": "off", "FOLIOSCOPE_CHANNELS": "lexical"}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as demo:
        assert demo.stderr is not None
        try:
            found = next(
                hit for line in demo.stderr if (hit := re.search(r"(http://127\.0\.0\.1:\d+)/c/(cnv_\w+)", line))
            )
            kept = httpx2.get(f"{found[1]}/v1/conversations/{found[2]}", trust_env=False).json()
            assert kept["collection"] == "demo"
            assert kept["turns"][0]["answer"]["citations"][0]["quote_status"] == "exact"
            assert httpx2.get(found[0], trust_env=False).headers["content-type"].startswith("text/html")
        finally:
            demo.terminate()
    assert demo.returncode == 0
