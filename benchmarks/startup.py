"""How long commands take from a cold interpreter: ``folioscope --help``, ``version``, ``search`` on the samples."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import parser, show

HEAVY = ("numpy", "pydantic", "sqlalchemy", "dbos", "pymupdf", "onnxruntime", "qdrant_edge", "rich", "PIL")


def seconds(command: list[str], runs: int, env: dict[str, str] | None = None) -> float:
    """Median wall-clock seconds of a command, after one run that is not counted."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=env)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def heavy_imports(command: list[str]) -> list[str]:
    """Which heavy packages a command imports."""
    code = (
        f"import sys; sys.argv[1:] = {command!r}\n"
        "from api.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('\\n' + ' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=9)
    given = arguments.parse_args()
    program = str(Path(sys.executable).parent / "folioscope")
    figures: dict[str, Any] = {
        "python_alone_s": seconds([sys.executable, "-c", "pass"], given.runs),
        "help_s": seconds([program, "--help"], given.runs),
        "version_s": seconds([program, "version"], given.runs),
    }
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "FOLIOSCOPE_DATA_DIR": folder}
        started = time.perf_counter()
        subprocess.run([program, "demo"], check=True, capture_output=True, env=env)
        figures["demo_s"] = time.perf_counter() - started
        question = ["search", "Why did the repair take eleven weeks?", "-c", "demo"]
        figures["search_s"] = seconds([program, *question], given.runs, env)
        figures["ask_s"] = seconds([program, "ask", *question[1:]], given.runs, env)
    figures = {name: round(value, 3) for name, value in figures.items()}
    figures["help_imports"] = heavy_imports(["--help"])
    figures["version_imports"] = heavy_imports(["version"])
    show({**figures, "runs": given.runs}, given.json)


if __name__ == "__main__":
    main()
