"""Broken, locked, huge and odd files through the sandbox: how each of them ends, against a committed golden table.

Each file ends as ready, as ready with page problems or as failed with a code. Files whose password is known are read
twice, without and with it. OCR is tesseract's in English, since the golden table is.

    python -m benchmarks.robustness [--json] [--update]
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, need_corpus, parser, show, tree
from folioscope.errors import DocumentError
from ingest.ocr import check_tesseract
from ingest.sandbox import Limits, Ocr, Sandbox

GOLDEN = ROOT / "tests" / "goldens" / "robustness.json"
LIMITS = Limits(memory_mb=2048, cpu_s=600, page_s=60.0, max_pages=2000, max_pixels=40_000_000)
OCR = Ocr("tesseract", "eng")
Outcome = dict[str, Any]
Case = tuple[str, Path, str | None]


def cases(folder: Path) -> list[Case]:
    """Name, path and password: a row for each file, and another where a password is known."""
    found: list[Case] = []
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        path = folder / row["file"]
        found.append((path.name, path, None))
        if password := row["observed_pymupdf"].get("password"):
            found.append((f"{path.name} with password", path, password))
    return found


def outcome(sandbox: Sandbox, path: Path, password: str | None) -> Outcome:
    """How one file ends: outcome, code, pages, problems and flags with the number of pages that have them."""
    try:
        with sandbox.open(path, password) as document:
            pages = list(document.pages(range(1, document.page_count + 1)))
    except DocumentError as error:
        return {"outcome": "failed", "code": error.code}
    problems = Counter(page.problem.code for page in pages if page.problem)
    flags = Counter(flag for page in pages for flag in page.flags)
    sources = Counter(page.words.source for page in pages)
    return {
        "outcome": "page_problems" if problems else "ready",
        "media_type": document.media_type,
        "pages": len(pages),
        "words_from": dict(sorted(sources.items())),
        **({"problems": dict(sorted(problems.items()))} if problems else {}),
        **({"flags": dict(sorted(flags.items()))} if flags else {}),
    }


def run(chosen: Sequence[Case], workers: int) -> tuple[dict[str, Outcome], dict[str, float], int]:
    """Outcomes and seconds by name, and the number of processes that are left when the sandbox is closed."""
    check_tesseract(OCR.languages)
    seconds: dict[str, float] = {}

    def one(case: Case) -> tuple[str, Outcome]:
        name, path, password = case
        start = time.perf_counter()
        ended = outcome(sandbox, path, password)
        seconds[name] = round(time.perf_counter() - start, 2)
        return name, ended

    before = set(tree(os.getpid()))
    with Sandbox(LIMITS, OCR, workers) as sandbox, ThreadPoolExecutor(workers) as threads:
        outcomes = dict(threads.map(one, chosen))
    return outcomes, seconds, len(set(tree(os.getpid())) - before)


def differences(outcomes: dict[str, Outcome]) -> list[str]:
    """What is not as the golden table has it, a line each."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return [
        f"{name}: {outcomes.get(name)} in place of {golden.get(name)}"
        for name in sorted(outcomes.keys() | golden.keys())
        if outcomes.get(name) != golden.get(name)
    ]


def main() -> int:
    line = parser(__doc__)
    line.add_argument("--update", action="store_true", help="write the golden table anew")
    arguments = line.parse_args()
    workers = os.cpu_count() or 1
    outcomes, seconds, orphans = run(cases(need_corpus("robustness")), workers)
    if arguments.update:
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        rows = (f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(outcomes.items()))
        GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    unlike = differences(outcomes)
    for name, row in outcomes.items():
        rest = {key: value for key, value in row.items() if key not in ("outcome", "code")}
        print(f"{row['outcome']:<14}{row.get('code', ''):<26}{seconds[name]:7.2f} s  {name}  {rest or ''}")
    print(*unlike, sep="\n")
    slowest = max(seconds, key=lambda name: seconds[name])
    figures = {
        "files": len({name.removesuffix(" with password") for name in outcomes}),
        "runs": len(outcomes),
        **Counter(row["outcome"] for row in outcomes.values()),
        "codes": dict(Counter(row["code"] for row in outcomes.values() if "code" in row)),
        "unlike_golden": len(unlike),
        "orphans": orphans,
        "slowest_s": seconds[slowest],
        "slowest": slowest,
        "workers": workers,
    }
    show(figures, arguments.json)
    return 1 if unlike or orphans else 0


if __name__ == "__main__":
    sys.exit(main())
