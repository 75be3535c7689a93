"""What several tests need: a real Postgres, small real PDFs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# No test, and no program started by one, talks to a vendor with a key of whoever runs it.
for variable in ("ANTHROPIC", "OPENAI", "GEMINI", "GOOGLE"):
    os.environ.pop(f"{variable}_API_KEY", None)

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


def _postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A Postgres server of our own on a free port; yields the URL of its server without a database name."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("no Postgres server programs; Debian's package postgresql has them")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="folioscope-pg-"))
    as_postgres = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        as_postgres = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*as_postgres, programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N"], **quiet)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    subprocess.run([*as_postgres, programs / "pg_ctl", "-D", data, "-o", options, "-w", "start"], **quiet)
    try:
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    finally:
        subprocess.run([*as_postgres, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """A fresh database."""
    import sqlalchemy as sa

    name = f"test_{os.urandom(6).hex()}"
    engine = sa.create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{postgres}/{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind that we support."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'catalog.sqlite'}"


@pytest.fixture
def make_pdf(tmp_path: Path) -> Callable[..., Path]:
    """``make_pdf(name, [text of page 1, text of page 2 …])`` -> a PDF's path; lines are set one below the other."""
    import pymupdf

    def make(name: str, pages: list[str]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with pymupdf.open() as pdf:
            for text in pages:
                page = pdf.new_page(width=420, height=595)
                page.insert_text((40, 60), text, fontsize=11)
            pdf.save(path)
        return path

    return make


@pytest.fixture
def corpus() -> Path:
    """The research corpus beside the checkout; it may not be copied into it."""
    if not (SHARED / "corpus").is_dir():
        pytest.skip("../shared/corpus is not here; it holds research data that can't be part of the project")
    return SHARED / "corpus"
