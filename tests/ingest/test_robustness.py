from pathlib import Path

import pytest

from benchmarks import robustness
from folioscope.errors import OcrFailed
from ingest.ocr import check_tesseract


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_broken_file_ends_as_the_golden_table_says(corpus: Path) -> None:
    try:
        check_tesseract(robustness.OCR.languages)
    except OcrFailed as error:
        pytest.skip(str(error))
    outcomes, _, orphans = robustness.run(corpus / "robustness", workers=2)
    assert robustness.differences(outcomes) == []
    assert orphans == 0
