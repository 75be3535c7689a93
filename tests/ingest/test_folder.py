import os
import subprocess
import sys
from pathlib import Path

import pytest

from folioscope.errors import DataFolderBusy, StorageError
from ingest.folder import DataFolder

HOLD = """
import sys
from pathlib import Path
from ingest.folder import DataFolder
folder = DataFolder(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_one_process_at_a_time_and_the_other_is_named(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        with pytest.raises(DataFolderBusy, match=str(other.pid)) as caught:
            DataFolder(tmp_path)
        assert "FOLIOSCOPE_DATA_DIR" in caught.value.hint
        other.kill()
    DataFolder(tmp_path).close()  # the lock went with the process


def test_closing_gives_the_lock_back(tmp_path: Path) -> None:
    DataFolder(tmp_path).close()
    DataFolder(tmp_path).close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="can't be used"):
        DataFolder(tmp_path / "file" / "data")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; runs for any other user")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="rights"):
        DataFolder(tmp_path / "data")
