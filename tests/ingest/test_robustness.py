import json
from pathlib import Path

import pytest

from benchmarks import robustness
from folioscope.errors import OcrFailed
from ingest.ocr import check_tesseract

LONG = {"TAMReview.pdf", "test_3863.pdf", "cardinal.pdf"}
"""33 scanned pages, as many as in all other files together: `python -m benchmarks.robustness` reads them, and
``tests/api/test_http_robustness.py`` does without OCR.
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_broken_file_ends_as_the_golden_table_says(corpus: Path) -> None:
    try:
        check_tesseract(robustness.OCR.languages)
    except OcrFailed as error:
        pytest.skip(str(error))
    golden = json.loads(robustness.GOLDEN.read_text(encoding="utf-8"))
    chosen = [case for case in robustness.cases(corpus / "robustness") if case[0] not in LONG]
    outcomes, _, orphans = robustness.run(chosen, workers=2)
    assert outcomes == {name: row for name, row in golden.items() if name not in LONG}
    assert orphans == 0
