"""A library whose vectors lie in Chroma or on a Qdrant server, and one whose server is away when it is needed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from folioscope.errors import ChannelUnavailable, StorageError
from folioscope.settings import Settings
from ingest import Library
from retrieval.indexes import server as server_index
from tests.support.qdrant import QdrantServer, serving

MakePdf = Callable[..., Path]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning"),
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[QdrantServer]:
    monkeypatch.setattr(server_index, "PAUSE", 0.001)
    with serving() as made:
        yield made


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=folder, **{"channels": ("lexical", "semantic"), "workers": 1, **more})


def stands(library: Library) -> dict[str, tuple[int, int]]:
    """By channel: pages done, pages in all."""
    return {row.entry.name: (row.coverage.done, row.coverage.total) for row in library.channel_status()}


def found(library: Library, query: str, **more: Any) -> set[tuple[str, int]]:
    return {(hit.document.filename, hit.page) for hit in library.retriever().search(query, k=10, **more).hits}


TIDES = ["The harbour master keeps the tide tables.", "Lighthouses burn paraffin."]
BREAD = ["Sourdough needs patience and rye flour."]
ALL = {("tides.pdf", 1), ("tides.pdf", 2), ("bread.pdf", 1)}
SEMANTIC = {"channels": ["semantic"]}


def index_folder(library: Library, channel: str) -> Path:
    return library.folder / "indexes" / library.collection().id / channel


def test_vectors_in_chroma(tmp_path: Path, make_pdf: MakePdf) -> None:
    pytest.importorskip("chromadb")
    chroma = settings(tmp_path / "data", vectors="chroma")
    with Library(settings=chroma) as library:
        library.ingest([make_pdf("tides.pdf", TIDES), make_pdf("bread.pdf", BREAD)], wait=True)
        assert found(library, "a loaf from the oven", **SEMANTIC) == ALL
        assert library.retriever().search("a loaf from the oven", **SEMANTIC).hits[0].document.filename == "bread.pdf"
        assert (index_folder(library, "semantic") / "chroma").is_dir()
        assert (index_folder(library, "lexical") / "shard").is_dir()  # sparse vectors stay in Qdrant
    with Library(settings=settings(tmp_path / "data")) as library:  # the folder says what it holds, not the setting
        assert found(library, "light on the coast", **SEMANTIC) == ALL
        library.ingest([make_pdf("tides.pdf", ["Only one page is left, about moss."])], wait=True)  # a new version
        assert stands(library) == {"lexical": (2, 2), "semantic": (2, 2)}
        assert found(library, "moss", **SEMANTIC) == {("tides.pdf", 1), ("bread.pdf", 1)}
        library.remove("bread.pdf")
        assert found(library, "moss", **SEMANTIC) == {("tides.pdf", 1)}
        assert len(library.channels.of(library.collection().id)["semantic"].index) == 1


def test_vectors_on_a_server(tmp_path: Path, make_pdf: MakePdf, server: QdrantServer) -> None:
    config = settings(tmp_path / "data", qdrant_url=server.url, qdrant_api_key="secret")
    with Library(settings=config) as library:
        library.ingest([make_pdf("tides.pdf", TIDES), make_pdf("bread.pdf", BREAD)], wait=True)
        name = f"folioscope-{library.collection().id}-semantic"
        assert server.collections() == {name: 3}  # and the lexical channel's are in the folder
        assert library.retriever().search("a loaf from the oven", **SEMANTIC).hits[0].document.filename == "bread.pdf"
    with Library(settings=config) as library:
        library.ingest([make_pdf("tides.pdf", ["Only one page is left, about moss."])], wait=True)
        assert server.collections() == {name: 2}
        assert found(library, "moss", **SEMANTIC) == {("tides.pdf", 1), ("bread.pdf", 1)}
        library.remove("bread.pdf")
        assert server.collections() == {name: 1}
        library.remove_collection("default")
        assert server.collections() == {}
    assert server.keys == {"secret"}


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_server_that_refuses_at_open_leaves_the_lexical_channel(
    tmp_path: Path, make_pdf: MakePdf, server: QdrantServer
) -> None:
    nowhere = settings(tmp_path / "data", qdrant_url=f"http://127.0.0.1:{closed_port()}")
    with Library(settings=nowhere) as library:
        report = library.ingest([make_pdf("tides.pdf", TIDES)], wait=True)
        assert [outcome.status for outcome in report.outcomes] == ["ready"]
        result = library.retriever().search("lighthouses")
        assert [hit.page for hit in result.hits] == [2]
        (note,) = result.notes
        assert "semantic channel was left out" in note
        assert "is the server of FOLIOSCOPE_QDRANT_URL running" in note
        with pytest.raises(ChannelUnavailable, match="FOLIOSCOPE_QDRANT_URL"):
            library.retriever().search("lighthouses", **SEMANTIC)
        assert list(library.unavailable) == ["semantic"]
        assert stands(library) == {"lexical": (2, 2), "semantic": (0, 2)}
    with Library(settings=settings(tmp_path / "data", qdrant_url=server.url)) as library:
        library.run_outstanding()
        assert stands(library) == {"lexical": (2, 2), "semantic": (2, 2)}
        assert library.retriever().search("lighthouses").notes == ()


def test_a_server_that_goes_away_at_search(tmp_path: Path, make_pdf: MakePdf, server: QdrantServer) -> None:
    with Library(settings=settings(tmp_path / "data", qdrant_url=server.url)) as library:
        library.ingest([make_pdf("tides.pdf", TIDES), make_pdf("bread.pdf", BREAD)], wait=True)
        retriever = library.retriever()
        for state in ("busy", "reset"):
            server.state = state
            result = retriever.search("lighthouses")
            assert [(hit.document.filename, hit.page) for hit in result.hits] == [("tides.pdf", 2)]
            (note,) = result.notes
            assert "semantic channel was left out" in note
            assert "does not serve" in note
            with pytest.raises(ChannelUnavailable, match="does not serve"):
                retriever.search("lighthouses", **SEMANTIC)
        server.state = "up"  # the same library, the same retriever
        assert retriever.search("lighthouses").notes == ()
        assert len(retriever.search("lighthouses", **SEMANTIC).hits) == 3


def test_a_server_that_goes_away_while_a_channel_fills(tmp_path: Path, make_pdf: MakePdf, server: QdrantServer) -> None:
    texts = [f"Page number {number} is about the letter {chr(97 + number)}." for number in range(12)]
    with Library(settings=settings(tmp_path / "data", qdrant_url=server.url)) as library:
        library.ingest([make_pdf("tides.pdf", TIDES)], wait=True)
        server.breaks_at = "/points?"  # writing
        report = library.ingest([make_pdf("letters.pdf", texts)], wait=True)
        assert [outcome.status for outcome in report.outcomes] == ["ready"]
        assert stands(library) == {"lexical": (14, 14), "semantic": (2, 14)}
        (problem,) = library.unavailable.values()
        assert "does not serve" in problem
        assert found(library, "letter") == {("letters.pdf", number) for number in range(1, 11)}
        server.breaks_at, server.state = "", "up"
        library.backfill()
        assert stands(library) == {"lexical": (14, 14), "semantic": (14, 14)}
        assert library.unavailable == {}
        assert sum(server.collections().values()) == 14


def test_bad_files_fail_alone_while_the_server_is_away(tmp_path: Path, make_pdf: MakePdf, server: QdrantServer) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 and then nothing that makes sense")
    with Library(settings=settings(tmp_path / "data", qdrant_url=server.url)) as library:
        library.ingest([make_pdf("tides.pdf", TIDES)], wait=True)
        server.state = "reset"
        report = library.ingest([broken, make_pdf("bread.pdf", BREAD)])
        assert [outcome.status for outcome in report.outcomes] == ["failed", "ready"]


def test_what_is_deleted_while_the_server_is_away_goes_when_it_is_back(
    tmp_path: Path, make_pdf: MakePdf, server: QdrantServer
) -> None:
    config = settings(tmp_path / "data", qdrant_url=server.url)
    with Library(settings=config) as library:
        library.ingest([make_pdf("tides.pdf", TIDES), make_pdf("bread.pdf", BREAD)], wait=True)
        server.state = "reset"
        library.remove("bread.pdf")
        assert found(library, "rye flour") == set()
        asked = server.asked
        library.remove("tides.pdf")
        assert server.asked == asked  # who deletes now does not wait for what earlier ones have left
    server.state = "up"
    with Library(settings=config):
        assert sum(server.collections().values()) == 0


def test_what_is_deleted_by_who_never_reached_the_server_goes_when_it_is_back(
    tmp_path: Path, make_pdf: MakePdf, server: QdrantServer
) -> None:
    config = settings(tmp_path / "data", qdrant_url=server.url)
    with Library(settings=config) as library:
        library.ingest([make_pdf("tides.pdf", TIDES), make_pdf("bread.pdf", BREAD)], wait=True)
    server.state = "reset"
    with Library(settings=config) as library:
        library.remove("bread.pdf")
        originals = [path for path in (tmp_path / "data" / "originals").rglob("*") if path.is_file()]
        assert len(originals) == 1  # what lies here goes at once
    server.state = "up"
    with Library(settings=config):
        assert sum(server.collections().values()) == 2


def test_a_collection_of_another_schema_is_refused(tmp_path: Path, make_pdf: MakePdf, server: QdrantServer) -> None:
    config = settings(tmp_path / "data", qdrant_url=server.url)
    with Library(settings=config) as library:
        library.ingest([make_pdf("tides.pdf", TIDES)], wait=True)
        (name,) = server.collections()
    metadata = server.engine.get_collection(name).config.metadata
    server.engine.delete_collection(name)
    vectors = {"other": server.models.VectorParams(size=4, distance=server.models.Distance.DOT)}
    server.engine.create_collection(name, vectors_config=vectors, metadata=metadata)
    with Library(settings=config) as library, pytest.raises(StorageError, match="another schema") as caught:
        library.retriever()
    assert name in str(caught.value)


def test_a_setting_that_changes_is_for_indexes_made_after_it(
    tmp_path: Path, make_pdf: MakePdf, server: QdrantServer
) -> None:
    for place in ({}, {"qdrant_url": server.url}):
        folder = tmp_path / f"data{len(place)}"
        with Library(settings=settings(folder, vector_type="float16", **place)) as library:
            library.ingest([make_pdf("tides.pdf", TIDES)], wait=True)
        with Library(settings=settings(folder, vector_type="int8", **place)) as library:
            assert len(found(library, "lighthouses", **SEMANTIC)) == 2
            assert stands(library)["semantic"] == (2, 2)
