"""What several tests need: a real Postgres, small real PDFs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.commands import CORE, Starter
from tests.support.postgres import Postgres, programs

# No test, and no program started by one, talks to a vendor with a key of whoever runs it.
for variable in ("ANTHROPIC", "OPENAI", "GEMINI", "GOOGLE"):
    os.environ.pop(f"{variable}_API_KEY", None)

# Several processes run tests at a time: a team of threads each would only get in the others' way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Programs that tests start keep what they compile: else every one would compile the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: workers take whole files, and a long one at the end leaves the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def starter() -> Iterator[Starter]:
    """Runs commands, in processes of their own."""
    with Starter(*CORE) as started:
        yield started


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A Postgres server of our own on a free port; yields the URL of its server without a database name."""
    found = programs()
    if found is None:
        pytest.skip("no Postgres server programs; Debian's package postgresql has them")
    with Postgres(found) as server:
        yield server.url


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
