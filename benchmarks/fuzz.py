"""Requests made up from the server's own description by schemathesis: none may end in a 5xx or undescribed.

    python -m benchmarks.fuzz [--json] [--cases 2000] [--seed 0]

Every operation of /openapi.json gets as many cases, half of them valid and half invalid by its schema. Where one names
a document, a job or a page, every other case names one that exists. Each answer must have a described status and
content type and, where it has a schema, that shape.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import Failure, FailureGroup

from benchmarks.common import parser, show

CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)

NO_HTTP = b"Invalid HTTP request received."
"""What uvicorn says to what it can't read as HTTP, such as an address of more than 64 KB: no answer of ours."""

PLAIN = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate],
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)


def a_pdf(folder: Path, text: str = "The heron stands on one leg.") -> Path:
    """A PDF of one page."""
    import pymupdf

    path = folder / "heron.pdf"
    with pymupdf.open() as pdf:
        pdf.new_page().insert_text((40, 60), text)
        pdf.save(path)
    return path


class There:
    """What exists on the server, by the names that paths give it; made anew when a case has removed it."""

    def __init__(self, client: httpx2.Client, folder: Path) -> None:
        self._client = client
        self._pdf = a_pdf(folder)
        self._names: dict[str, str] = {}

    def names(self) -> dict[str, str]:
        """Such as ``{"document": "doc_…", "number": "1"}``."""
        place = f"/v1/documents/{self._names.get('document')}"
        if not self._names or self._client.get(place).status_code == 404:
            made = self._client.post("/v1/documents", files={"file": ("heron.pdf", self._pdf.read_bytes())}).json()
            job = made["job"] or self._names.get("job", "job_none")
            while made["job"] and self._client.get(f"/v1/jobs/{job}").json()["state"] == "running":
                time.sleep(0.02)
            self._names = {"document": made["document"]["id"], "job": job, "number": "1"}
        self._client.post("/v1/collections", json={"name": "made", "channels": ["lexical"]})  # or there already
        return {**self._names, "collection": "made"}


def run(base: str, folder: Path, cases: int, chosen: int = 0) -> dict[str, Any]:
    """Figures: cases (at least so many), answers by status, and what went wrong, an example of each kind.

    ``chosen``: again the same, the same requests.
    """
    statuses: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    with httpx2.Client(base_url=base, timeout=60, trust_env=False) as client:
        there = There(client, folder)
        schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        while statuses.total() < cases:  # of operations that take nothing there is one case alone
            each = max(1, (cases - statuses.total()) // (2 * len(operations)))
            for operation, mode in itertools.product(operations, GenerationMode):
                ask = _asking(operation.as_strategy(generation_mode=mode), there, base, statuses, wrong)
                with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with a request that says nothing
                    seed(chosen)(settings(PLAIN, max_examples=each)(ask))()
            chosen += 1
    figures = {"operations": len(operations), "cases": statuses.total(), **dict(sorted(statuses.items()))}
    return {**figures, "wrong": len(wrong), "what": wrong}


def _asking(
    strategy: st.SearchStrategy[Case], there: There, base: str, statuses: Counter[str], wrong: dict[str, str]
) -> Callable[[], None]:
    """Asks with cases of the strategy; completes ``statuses`` and ``wrong``."""

    @given(case=strategy, real=st.booleans())
    def ask(case: Case, real: bool) -> None:
        if real:
            names = there.names()
            case.path_parameters.update((name, names[name]) for name in case.path_parameters if name in names)
        answer = case.call(base_url=base, timeout=60)
        statuses[f"{answer.status_code // 100}xx"] += 1
        if answer.content == NO_HTTP:
            return
        try:
            case.validate_response(answer, checks=CHECKS.get_by_names(CHECKED))
        except (FailureGroup, Failure) as failed:
            for each in getattr(failed, "exceptions", [failed]):
                kind = f"{case.method} {case.path}: {each.title}, status {answer.status_code}"
                wrong.setdefault(kind, f"{each}\n{case.as_curl_command()}"[:2000])

    return ask


def main() -> int:
    line = parser(__doc__)
    line.add_argument("--cases", type=int, default=2000)
    line.add_argument("--seed", type=int, default=0)
    chosen = line.parse_args()
    from benchmarks.serving import served

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as server:
        figures = run(server.url, Path(folder), chosen.cases, chosen.seed)
    for kind, example in figures.pop("what").items():
        print(f"WRONG: {kind}\n{example}\n")
    figures["seconds"] = round(time.perf_counter() - started, 1)
    show(figures, chosen.json)
    return bool(figures["wrong"])


if __name__ == "__main__":
    sys.exit(main())
