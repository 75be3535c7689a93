"""Makes the sample documents that the package carries: `python scripts/make_samples.py [FOLDER]`.

An annual report with tables and charts, a manual with a diagram, a scanned letter without a text layer. Everything in
them is invented. The same PyMuPDF and Pillow give the same bytes on each run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sample_pages.letter import letter
from sample_pages.manual import TITLE as MANUAL_TITLE
from sample_pages.manual import manual
from sample_pages.report import TITLE as REPORT_TITLE
from sample_pages.report import report

FOLDER = Path(__file__).parents[1] / "api" / "samples"
DATE = "D:20260301090000Z"


def write(document: Any, path: Path, title: str) -> None:
    """Saves without anything that changes from run to run: fixed dates, no random id, fonts cut to what is used."""
    document.set_metadata({"title": title, "creationDate": DATE, "modDate": DATE})
    document.subset_fonts()
    document.save(path, garbage=4, deflate=True, clean=True, use_objstms=1, no_new_id=True)
    print(f"{path.name}: {document.page_count} pages, {path.stat().st_size / 1000:.0f} kB")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write(report(), folder / "skerrow-ferries-annual-report-2025.pdf", REPORT_TITLE)
    write(manual(), folder / "dunnock-w3-weather-station-manual.pdf", MANUAL_TITLE)
    write(letter(), folder / "harbour-trust-letter-1974-scan.pdf", "")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
