"""Peak memory while a 600-page PDF is ingested, over the idle process: this process and all its children, summed.

The file is the 619-page one of the robustness corpus where that is here, else a generated one of 600 pages.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.common import CORPUS, parser, rss_bytes, show, tree

SAMPLE_SECONDS = 0.02


class Peak(threading.Thread):
    """Samples the resident memory of this process and its children until stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.total = self.own = 0
        self._done = threading.Event()

    def run(self) -> None:
        """Sample."""
        while not self._done.wait(SAMPLE_SECONDS):
            each = {pid: rss_bytes(pid) for pid in tree(os.getpid())}
            self.total = max(self.total, sum(each.values()))
            self.own = max(self.own, each.get(os.getpid(), 0))

    def stop(self) -> None:
        """End sampling."""
        self._done.set()
        self.join()


def generated(path: Path, pages: int = 600) -> Path:
    """A PDF of plain text pages."""
    import pymupdf

    with pymupdf.open() as pdf:
        for number in range(1, pages + 1):
            page = pdf.new_page()
            page.insert_textbox(pymupdf.Rect(50, 50, 545, 790), f"page {number} " * 600, fontsize=8)
        pdf.save(path, deflate=True)
    return path


def main() -> None:
    given = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        long = CORPUS / "robustness" / "files" / "DA-619p.pdf"
        path = long if long.exists() else generated(Path(folder) / "long.pdf")
        from folioscope.settings import Settings
        from ingest import Library

        with Library(settings=Settings(data_dir=Path(folder) / "data", channels=("lexical",))) as library:
            library.create_collection()
            library.start()
            time.sleep(1.0)
            idle = sum(rss_bytes(pid) for pid in tree(os.getpid()))
            peak = Peak()
            peak.start()
            report = library.ingest([path])
            peak.stop()
        figures: dict[str, Any] = {
            "idle_mb": round(idle / 1e6),
            "peak_mb": round(peak.total / 1e6),
            "peak_over_idle_mb": round((peak.total - idle) / 1e6),
            "own_peak_mb": round(peak.own / 1e6),
            "pages": report.outcomes[0].pages,
            "status": report.outcomes[0].status,
            "file": path.name,
        }
    show(figures, given.json)


if __name__ == "__main__":
    main()
