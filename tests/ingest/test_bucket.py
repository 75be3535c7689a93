"""Originals on S3: against the server of moto, a process of its own."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from api.checks import _files
from folioscope.domain import PageKey
from folioscope.errors import ConfigError, StorageError, TooLarge, Unreadable
from folioscope.settings import Settings
from ingest import Library
from ingest.bucket import PIECE, Bucket

MakePdf = Callable[..., Path]
AUTH = "INITIAL_NO_AUTH_ACTION_COUNT"


@contextmanager
def s3_server(port: int = 0, **env: str) -> Iterator[str]:
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, env={**os.environ, **env}, **quiet) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while not _answers(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_bucket(server: str, name: str) -> None:
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=30)
    connection.request("PUT", f"/{name}")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def url(server: str) -> str:
    """A bucket of the test's own, with a prefix."""
    name = f"bucket-{os.urandom(6).hex()}"
    make_bucket(server, name)
    return f"s3://{name}/a/prefix"


@pytest.fixture
def bucket(server: str, url: str, tmp_path: Path) -> Bucket:
    return Bucket(url, server, tmp_path / "cache", cache_bytes=1000, owner="cat_a")


def keep(bucket: Bucket, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    staged = bucket.folder / ".part-test"
    staged.write_bytes(data)
    bucket.keep(staged, sha256)
    return sha256


def put(server: str, url: str, sha256: str, data: bytes) -> None:
    """Behind our back."""
    store = S3Store.from_url(url, endpoint=server, client_options={"allow_http": True})
    obstore.put(store, f"originals/{sha256[:2]}/{sha256}", data)


def test_what_is_kept_comes_back_and_the_cache_keeps_its_size_but_for_what_is_in_use(bucket: Bucket) -> None:
    big = keep(bucket, os.urandom(PIECE + 5))  # of more than one part and piece
    assert not list(bucket.folder.iterdir())  # larger than the cache
    small = [keep(bucket, bytes([n]) * 400) for n in range(3)]
    assert {path.name for path in bucket.folder.iterdir()} == set(small[1:])
    with bucket.open(big) as path:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == big
        with bucket.open(small[0]) as other:
            assert other.read_bytes() == bytes([0]) * 400
        assert path.exists()
    assert sum(path.stat().st_size for path in bucket.folder.iterdir()) <= 1000
    assert set(bucket.hashes()) == {big, *small}


def test_keeping_again_and_removing_again_is_the_same_as_once(bucket: Bucket) -> None:
    sha256 = keep(bucket, b"bytes")
    assert keep(bucket, b"bytes") == sha256
    assert bucket.has(sha256)
    bucket.remove(sha256)
    bucket.remove(sha256)
    assert not bucket.has(sha256)
    assert list(bucket.hashes()) == []
    with pytest.raises(Unreadable, match="not in s3://"), bucket.open(sha256):
        pass


def test_what_is_deleted_or_written_meanwhile_disturbs_nobody(bucket: Bucket) -> None:
    partial = bucket.folder / ".part-x"
    partial.write_bytes(b"half of a download")
    (bucket.folder / ("0" * 64)).symlink_to("gone")  # listed, and gone when it is looked at
    sha256 = keep(bucket, b"some bytes")
    assert sha256 in set(bucket.hashes())
    assert partial.name not in set(bucket.hashes())
    assert partial.exists()


def test_other_bytes_than_were_stored_are_not_handed_out(bucket: Bucket, server: str, url: str) -> None:
    sha256 = keep(bucket, b"original" * 200)
    put(server, url, sha256, b"tampered" * 200)
    with pytest.raises(Unreadable, match="other bytes"), bucket.open(sha256):
        pass
    assert not list(bucket.folder.iterdir())


def test_a_prefix_belongs_to_one_catalog(bucket: Bucket, server: str, url: str, tmp_path: Path) -> None:
    sha256 = keep(bucket, b"mine")
    other = Bucket(url, server, tmp_path / "other", cache_bytes=1000, owner="cat_b")
    for act in (lambda: other.remove(sha256), lambda: list(other.hashes()), lambda: keep(other, b"theirs")):
        with pytest.raises(ConfigError, match=r"another catalog \(cat_a\).*prefix of its own"):
            act()
    assert bucket.has(sha256)


def test_the_usual_variable_names_the_server(
    server: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    Bucket(url, "", tmp_path / "cache", cache_bytes=0, owner="cat_a").check()


def test_each_fault_of_the_storage_is_said(server: str, url: str, tmp_path: Path) -> None:
    def opened(url: str, endpoint: str) -> Bucket:
        return Bucket(url, endpoint, tmp_path / "cache", cache_bytes=0, owner="cat_a")

    nowhere = opened("s3://no-such-bucket/x", server)
    with pytest.raises(StorageError, match="no such bucket"):
        nowhere.check()
    with pytest.raises(StorageError, match="no such bucket"):
        keep(nowhere, b"x")
    with s3_server(**{AUTH: "1"}) as strict:
        make_bucket(strict, "strict")
        with pytest.raises(StorageError, match="not accepted"):  # a key that the server does not know
            opened("s3://strict/x", strict).check()
        with pytest.raises(StorageError, match="not allowed"):
            opened("s3://strict/x", strict).has("ab")
    with pytest.raises(StorageError, match="does not answer"):
        opened(url, strict).check()
    for wrong in ("http://x/y", "bucket/prefix", "gs://x"):
        with pytest.raises(ConfigError, match="files_url"):
            opened(wrong, "").check()


def settings(folder: Path, url: str, server: str, **more) -> Settings:
    return Settings(
        data_dir=folder, files_url=url, files_endpoint=server, **{"channels": ("lexical",), "workers": 1, **more}
    )


def test_ingest_search_image_reingest_delete(server: str, url: str, tmp_path: Path, make_pdf: MakePdf) -> None:
    chosen = settings(tmp_path / "data", url, server, files_cache_mb=0, image_cache_mb=0, max_file_mb=1)
    pdf = make_pdf("a.pdf", ["The lamp is lit.", "The tide is out."])
    (tmp_path / "large.pdf").write_bytes(b"%PDF" + bytes(2 << 20))
    with Library(settings=chosen) as library:
        ready, large = library.ingest([pdf, tmp_path / "large.pdf"]).outcomes
        assert ready.status == "ready"
        assert large.problem is not None
        assert large.problem.code == TooLarge.code
        sha256 = library.document("a.pdf").sha256
        assert library.files.originals.has(sha256)
        assert not list(library.files.originals.folder.iterdir())  # nothing stays here with a cache of 0
        assert [hit.page for hit in library.retriever().search("tide").hits] == [2]
        assert max(library.image(PageKey(ready.document_id, 1, 2), 300).shape) == 300
        (again,) = library.reingest(["a.pdf"]).outcomes
        assert (again.status, again.version) == ("ready", 2)
        assert library.files.originals.has(sha256)
        library.remove("a.pdf")
        assert not library.files.originals.has(sha256)
    assert _files(chosen).state == "ok"


def test_another_host_with_the_same_catalog_draws_its_pages(
    server: str, url: str, tmp_path: Path, make_pdf: MakePdf, postgres_url: str
) -> None:
    first, second = (settings(tmp_path / name, url, server, database_url=postgres_url) for name in ("one", "two"))
    with Library(settings=first) as library:
        (ready,) = library.ingest([make_pdf("a.pdf", ["The lamp is lit."])]).outcomes
    with Library(settings=second) as library:
        assert max(library.image(PageKey(ready.document_id, 1, 1), 200).shape) == 200
        assert [path.name for path in library.files.originals.folder.iterdir()] == [library.document("a.pdf").sha256]


def test_an_original_that_is_damaged_fails_its_document_alone(
    server: str, url: str, tmp_path: Path, make_pdf: MakePdf
) -> None:
    chosen = settings(tmp_path / "data", url, server, files_cache_mb=0)
    with Library(settings=chosen) as library:
        library.ingest([make_pdf("a.pdf", ["One."]), make_pdf("b.pdf", ["Two."])])
        put(server, url, library.document("a.pdf").sha256, b"rotten")
        bad, good = library.reingest(["a.pdf", "b.pdf"]).outcomes
        assert bad.problem is not None
        assert bad.problem.code == "document_unreadable"
        assert good.status == "ready"
        assert [hit.document.filename for hit in library.retriever().search("one").hits] == ["a.pdf"]  # as it was


def test_while_the_storage_is_away_search_goes_on_and_nothing_is_lost(tmp_path: Path, make_pdf: MakePdf) -> None:
    pdf, other = make_pdf("a.pdf", ["The lamp is lit."]), make_pdf("b.pdf", ["The lamp is out."])
    with s3_server() as server:
        make_bucket(server, "kept")
        chosen = settings(tmp_path / "data", "s3://kept", server)
        with Library(settings=chosen) as library:
            assert library.ingest([pdf]).outcomes[0].status == "ready"
    with Library(settings=chosen) as library:
        with pytest.raises(StorageError, match="does not answer"):
            library.ingest([other])
        assert len(library.retriever().search("lamp").hits) == 1
        assert max(library.image(PageKey(library.document("a.pdf").id, 1, 1), 200).shape) == 200  # from the cache
    with s3_server(int(server.rpartition(":")[2])) as server, Library(settings=chosen) as library:
        make_bucket(server, "kept")
        assert library.ingest([other]).outcomes[0].status == "ready"
        assert {document.status for document in library.documents()} == {"ready"}
        assert len(library.documents()) == 2


INGEST = """
import sys
from folioscope.settings import Settings
from ingest import Library
with Library(settings=Settings.model_validate_json(sys.argv[1])) as library:
    library.listen(lambda event: print(event.kind, flush=True))
    library.ingest(sys.argv[2:])
"""


def test_killed_in_the_middle_it_goes_on_and_leaves_no_stray(
    server: str, url: str, tmp_path: Path, make_pdf: MakePdf
) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"words d{n}p{p}x" for p in range(1, 151)]) for n in range(3)]
    chosen = settings(tmp_path / "data", url, server, files_cache_mb=0)
    command = [sys.executable, "-c", INGEST, chosen.model_dump_json(exclude_defaults=True), *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "pages":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    stray = hashlib.sha256(b"put, and killed before it was registered").hexdigest()
    put(server, url, stray, b"put, and killed before it was registered")
    with Library(settings=chosen) as library:
        library.ingest(paths)
        library.run_outstanding()
        documents = library.documents()
        assert [(document.status, document.pages) for document in documents] == [("ready", 150)] * 3
        assert len(library.channels.of(library.collection().id)["lexical"].index) == 450
        assert set(library.files.originals.hashes()) == {document.sha256 for document in documents}
