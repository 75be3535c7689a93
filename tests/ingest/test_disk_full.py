"""A disk that is really full: a small tmpfs in a mount namespace of the test's own, which goes with its process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
set -e
mount -t tmpfs -o size=150m tmpfs "$1"
"$2" "$3" "$1" "$4"
"""

STEPS = """
import subprocess, sys
from pathlib import Path
from folioscope.errors import DiskFull
from folioscope.settings import Settings
from ingest import Library

disk, pdf = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings(data_dir=disk / "data", channels=("lexical",), workers=1)
with Library(settings=settings) as library:
    (outcome,) = library.ingest([pdf]).outcomes
    assert outcome.status == "ready", outcome
filler = disk / "filler"
for free_mb in (60, 0):  # too little for the index, then nothing at all
    filler.unlink(missing_ok=True)
    with filler.open("wb") as out:
        try:
            while __import__("shutil").disk_usage(disk).free > free_mb << 20:
                out.write(bytes(1 << 18))
                out.flush()
        except OSError:
            pass
    changed = pdf.with_name(f"other-{free_mb}.pdf")
    changed.write_bytes(pdf.read_bytes() + b"%" + str(free_mb).encode())
    try:
        with Library(settings=settings) as library:
            library.ingest([changed])
    except DiskFull as error:
        assert "Free some" in str(error), error
    else:
        raise AssertionError("the disk was full and nobody noticed")
filler.unlink()
subprocess.run(["mount", "-o", "remount,size=600m", str(disk)], check=True)
with Library(settings=settings) as library:
    library.run_outstanding()
    library.ingest([pdf.with_name("other-60.pdf"), pdf.with_name("other-0.pdf")])
    assert {d.status for d in library.documents()} == {"ready"}, library.documents()
    assert len(library.documents()) == 3
    hits = library.retriever().search("lamp", k=9).hits
    assert len(hits) == 3, hits
print("fine")
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounting a small disk needs root")
def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path, make_pdf) -> None:
    pdf = make_pdf("a.pdf", ["The lamp is lit.", "The tide is out."])
    disk = tmp_path / "disk"
    disk.mkdir()
    steps = tmp_path / "steps.py"
    steps.write_text(STEPS)
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", SCRIPT, "sh", disk, sys.executable, steps, pdf]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.endswith("fine\n"), done.stderr
