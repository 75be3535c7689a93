"""The first command that anybody runs, as `make demo` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_demo_answers_cites_and_says_how_to_go_on(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("folioscope")
    if not program.exists():
        pytest.skip("the console script is not installed beside this Python")
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "FOLIOSCOPE_OCR": "off"}
    done = subprocess.run(
        [program, "demo", "--data-dir", tmp_path / "data"], env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert "[1]" in done.stdout
    assert "(exact)" in done.stdout
    assert (tmp_path / "data" / "demo.png").stat().st_size > 10_000
    assert f"{os.path.relpath(program)} ingest" in done.stderr  # no shell would find it by its name alone
