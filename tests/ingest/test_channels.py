"""Channels that join, leave and switch in a collection that is there: real PDFs, indexes and jobs, small encoders."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from folioscope.domain import Coverage, Fingerprint, PageInput, PageKey
from folioscope.errors import ChannelUnavailable, ConfigError, NotFoundError, Unreadable
from folioscope.settings import Settings
from ingest import Event, Library
from ingest import channels as rooms
from ingest.changes import ChannelChanges
from ingest.recipes import ChannelEntry
from retrieval import open_encoder
from retrieval.encoders import channel_of, settled

MakePdf = Callable[..., Path]


class Letters:
    """A page's words as counts of letters; ``slow``: seconds a batch. A real encoder, if no clever one."""

    batch_size = 4

    def __init__(self, revision: str, slow: float = 0.0) -> None:
        self.fingerprint = Fingerprint("letters", revision, "dense", 26)
        self.slow = slow
        self.batches: list[int] = []

    def encode_pages(self, pages: Sequence[PageInput]) -> list[np.ndarray]:
        self.batches.append(len(pages))
        time.sleep(self.slow)
        return [self._vector(page.words.text()) for page in pages]

    def encode_query(self, query: str) -> np.ndarray:
        return self._vector(query)

    def _vector(self, text: str) -> np.ndarray:
        counts = np.array([text.lower().count(chr(97 + letter)) for letter in range(26)], np.float32)
        return counts + 0.01


class Eyes(Letters):
    """Looks at pages: a vector of the image's columns; notes what it was shown."""

    def __init__(self) -> None:
        super().__init__("eyes")
        self.seen: list[tuple[int, tuple[int, ...], str]] = []

    def encode_pages(self, pages: Sequence[PageInput]) -> list[np.ndarray]:
        self.batches.append(len(pages))
        found = []
        for page in pages:
            assert page.image is not None
            image = page.image(260)  # uint8 [h, w, 3]
            digest = hashlib.sha256(image.tobytes()).hexdigest()
            self.seen.append((page.key.number, image.shape, digest))
            ink = 255.0 - image.mean(axis=2).mean(axis=0)  # [w]
            found.append(np.array([part.mean() for part in np.array_split(ink, 26)], np.float32) + 0.01)
        return found


class Down(Letters):
    """Answers questions and fails when it is to encode pages, as a server that goes down does."""

    down = True

    def encode_pages(self, pages: Sequence[PageInput]) -> list[np.ndarray]:
        if self.down:
            raise ChannelUnavailable("The server is down.", hint="Start it.")
        return super().encode_pages(pages)


class Broken(Letters):
    """Answers questions and fails in its own way when it is to encode pages."""

    def encode_pages(self, pages: Sequence[PageInput]) -> list[np.ndarray]:
        self.batches.append(len(pages))
        raise RuntimeError("CUDA error: out of memory")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Letters]:
    """Encoders that `open_encoder` knows during the test, by spec."""
    encoders: dict[str, Letters] = {
        "letters:a": Letters("a"),
        "letters:b": Letters("b"),
        "letters:slow": Letters("slow", slow=0.15),
        "eyes": Eyes(),
        "down": Down("down"),
        "broken": Broken("broken"),
    }
    monkeypatch.setattr(rooms, "open_encoder", lambda spec, **how: encoders.get(spec) or open_encoder(spec, **how))
    names = {spec: "semantic" if spec.startswith("letters") else "visual" for spec in encoders}
    monkeypatch.setattr(rooms, "channel_of", lambda spec: names.get(spec) or channel_of(spec))
    return encoders


def settings(folder: Path, **more) -> Settings:
    return Settings(data_dir=folder, **{"channels": ("lexical",), "workers": 1, **more})


@pytest.fixture
def library(tmp_path: Path, known: dict[str, Letters]) -> Iterator[Library]:
    with Library(settings=settings(tmp_path / "data")) as opened:
        yield opened


def index_folders(library: Library) -> set[str]:
    return {path.name for path in (library.folder / "indexes" / library.collection().id).iterdir()}


def assert_index_folders(library: Library, names: set[str]) -> None:
    """Within a while: a fill of a channel that was removed may be about to let go of its index."""
    deadline = time.monotonic() + 60
    while index_folders(library) != names and time.monotonic() < deadline:
        time.sleep(0.05)
    assert index_folders(library) == names


def stands(library: Library) -> dict[str, tuple[bool, int, int]]:
    """By key: whether it is searched, pages done, pages in all."""
    return {
        row.entry.key: (row.entry.active, row.coverage.done, row.coverage.total) for row in library.channel_status()
    }


def fruits(make_pdf: MakePdf, count: int = 6) -> Path:
    return make_pdf("fruits.pdf", [f"apples and pears number {number}" for number in range(count)])


def test_a_channel_joins_and_is_searched(library: Library, make_pdf: MakePdf, known: dict[str, Letters]) -> None:
    library.ingest([fruits(make_pdf), make_pdf("zoo.pdf", ["zzz zebra zzz"])])
    entry = library.add_channel(None, "semantic", "letters:a")
    assert (entry.key, entry.active) == ("semantic", True)
    library.backfill()
    assert stands(library) == {"lexical": (True, 7, 7), "semantic": (True, 7, 7)}
    result = library.retriever().search("zzzz", channels=["semantic"])
    assert result.hits[0].document.filename == "zoo.pdf"
    assert result.coverage["semantic"] == Coverage(7, 7)
    assert library.channel_status()[1].fingerprint == known["letters:a"].fingerprint
    assert all(row.bytes > 0 for row in library.channel_status())
    library.ingest([make_pdf("jazz.pdf", ["jazz"])], wait=True)  # and what comes later is in it
    assert stands(library)["semantic"] == (True, 8, 8)


def test_pages_of_short_documents_are_encoded_together(
    library: Library, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    library.ingest([make_pdf(f"short{number}.pdf", [f"word {number}"]) for number in range(8)])
    library.add_channel(None, "semantic", "letters:a")
    library.backfill()
    assert known["letters:a"].batches == [4, 4]
    channel = library.channels.of(library.collection().id)["semantic"]
    assert len(channel.index) == 8


def test_whoever_waits_for_a_channel_has_heard_its_last_event(library: Library, make_pdf: MakePdf) -> None:
    heard: list[int] = []

    def slow_listener(event: Event) -> None:
        if event.kind == "filled":
            time.sleep(0.4)  # longer than the catalog is left unasked
            heard.append(event.done)

    library.listen(slow_listener)
    library.ingest([fruits(make_pdf)])
    library.add_channel(None, "semantic", "letters:a")
    library.backfill()
    assert heard == [4, 6]


def test_a_switch_is_built_beside_and_then_takes_over(
    tmp_path: Path, library: Library, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    library.ingest([fruits(make_pdf)])
    library.add_channel(None, "semantic", "letters:a")
    library.backfill()
    retriever = library.retriever()
    assert library.add_channel(None, "semantic", "letters:b").key == "semantic-2"
    assert stands(library) == {"lexical": (True, 6, 6), "semantic": (True, 6, 6), "semantic-2": (False, 0, 6)}
    assert library.channel_coverage()["semantic-2"] == Coverage(0, 6)
    assert retriever.search("apples").coverage["semantic"] == Coverage(6, 6)  # the old one, meanwhile
    library.ingest([make_pdf("more.pdf", ["plums"])])  # what comes and goes meanwhile is in both
    library.backfill(None, "semantic-2")
    assert stands(library) == {"lexical": (True, 7, 7), "semantic-2": (True, 7, 7)}
    assert index_folders(library) == {"lexical", "semantic-2"}
    searched = retriever.search("plums", channels=["semantic"])  # one that was made before
    assert searched.hits[0].document.filename == "more.pdf"
    assert library.channels.searchable(library.collection().id)["semantic"].encoder is known["letters:b"]
    assert library.add_channel(None, "semantic", "letters:a").key == "semantic"  # and back


def test_a_switch_that_a_kill_left_is_done_at_the_next_start(
    tmp_path: Path, make_pdf: MakePdf, known: dict[str, Letters], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest([fruits(make_pdf)])
        library.add_channel(None, "semantic", "letters:a")
        library.backfill()
        monkeypatch.setattr(ChannelChanges, "switch", lambda self: None)
        library.add_channel(None, "semantic", "letters:b")
        library.backfill()
        assert stands(library)["semantic-2"] == (False, 6, 6)
        monkeypatch.undo()
        stray = library.folder / "indexes" / library.collection().id / "semantic-7"
        stray.mkdir()
    monkeypatch.setattr(rooms, "open_encoder", lambda spec, **how: known.get(spec) or open_encoder(spec, **how))
    with Library(settings=settings(tmp_path / "data")) as library:
        assert stands(library) == {"lexical": (True, 6, 6), "semantic-2": (True, 6, 6)}
        assert index_folders(library) == {"lexical", "semantic-2"}


def test_no_search_fails_while_channels_come_switch_and_go(library: Library, make_pdf: MakePdf) -> None:
    library.ingest([fruits(make_pdf, 40)])
    retriever = library.retriever()
    failures: list[BaseException] = []
    empty: list[str] = []
    done = threading.Event()
    searches = 0

    def search() -> None:
        nonlocal searches
        while not done.is_set():
            try:
                result = retriever.search("apples pears", k=3)
                searches += 1
                if len(result.hits) != 3:
                    empty.append(str(result))
            except BaseException as error:  # noqa: BLE001 - each of them is a failure of this test
                failures.append(error)

    searcher = threading.Thread(target=search)
    searcher.start()
    try:
        library.add_channel(None, "semantic", "letters:slow")
        library.backfill()
        library.add_channel(None, "semantic", "letters:a")
        library.backfill()
        library.remove_channel(None, "semantic")
    finally:
        done.set()
        searcher.join()
    assert (failures, empty) == ([], [])
    assert searches > 50
    assert stands(library) == {"lexical": (True, 40, 40)}
    assert_index_folders(library, {"lexical"})


def test_what_can_not_be_added_leaves_nothing(library: Library, make_pdf: MakePdf) -> None:
    library.ingest([fruits(make_pdf)])
    before = stands(library)
    with pytest.raises(ConfigError, match="There is no channel 'smell'"):
        library.add_channel(None, "smell")
    with pytest.raises(ConfigError, match="There is no encoder 'nonsense'"):
        library.add_channel(None, "semantic", "nonsense")
    for name, spec in (("semantic", "lexical"), ("visual", "semantic"), ("image", "colpali:somewhere")):
        with pytest.raises(ConfigError, match=f"{spec} is an encoder of the .* channel, not of the {name} one"):
            library.add_channel(None, name, spec)
    with pytest.raises(ConfigError, match="is not a folder"):
        library.add_channel(None, "semantic", "semantic:/nowhere")
    with pytest.raises(ConfigError, match="has the lexical channel with lexical already"):
        library.add_channel(None, "lexical")
    assert stands(library) == before
    library.add_channel(None, "semantic", "letters:a")
    library.add_channel(None, "semantic", "letters:b")
    with pytest.raises(ConfigError, match=r"being switched to letters:b already.*channels rm semantic-2"):
        library.add_channel(None, "semantic", "letters:slow")


def test_removing_and_cancelling(library: Library, make_pdf: MakePdf) -> None:
    library.ingest([fruits(make_pdf)])
    library.add_channel(None, "semantic", "letters:a")
    library.backfill()
    library.add_channel(None, "semantic", "letters:b")
    assert [entry.key for entry in library.remove_channel(None, "semantic-2")] == ["semantic-2"]
    assert stands(library)["semantic"] == (True, 6, 6)
    assert_index_folders(library, {"lexical", "semantic"})
    library.add_channel(None, "semantic", "letters:b")
    assert [entry.key for entry in library.remove_channel(None, "semantic")] == ["semantic", "semantic-2"]
    with pytest.raises(NotFoundError, match=r"no channel 'semantic'.*Its channels: lexical"):
        library.remove_channel(None, "semantic")
    with pytest.raises(ConfigError, match="the last channel"):
        library.remove_channel(None, "lexical")
    library.add_channel(None, "semantic", "letters:a")  # again from the beginning, by jobs of the same names
    library.backfill()
    assert stands(library)["semantic"] == (True, 6, 6)


def test_the_lexical_channel_joins_only_when_nothing_is_being_read(
    tmp_path: Path, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    config = settings(tmp_path / "data", channels=("semantic",))
    with Library(settings=config) as library:
        collection = library.catalog.create_collection("default", {"semantic": "letters:a"})
        job = library.catalog.create_job("ingest", collection.id)
        path = fruits(make_pdf)
        with library.files.stage(path) as staged:
            library.files.keep(staged)
        more = {"sha256": staged.sha256, "size": staged.size}
        library.catalog.register(collection, job, filename=path.name, source=str(path), **more)
        with pytest.raises(ConfigError, match="1 documents are still to be read"):
            library.add_channel(None, "lexical")
        library.run_outstanding()
        library.add_channel(None, "lexical")
        library.backfill()
        assert stands(library) == {"lexical": (True, 6, 6), "semantic": (True, 6, 6)}
        assert library.retriever().search("pears", channels=["lexical"]).hits


def test_pages_are_drawn_for_encoders_that_look(library: Library, make_pdf: MakePdf, known: dict[str, Letters]) -> None:
    eyes = known["eyes"]
    assert isinstance(eyes, Eyes)
    library.ingest([make_pdf("a.pdf", [f"{'M' * (3 * number)}" for number in range(1, 7)])])
    library.add_channel(None, "visual", "eyes")
    library.backfill()
    assert [number for number, _, _ in eyes.seen] == [1, 2, 3, 4, 5, 6]
    assert all(shape[0] == 260 and shape[2] == 3 for _, shape, _ in eyes.seen)
    assert len({digest for _, _, digest in eyes.seen}) == 6
    assert eyes.batches == [4, 2]


def test_pages_of_several_documents_are_drawn_for_one_batch(
    library: Library, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    """One child draws them all: whoever keeps a document open in it would wait for itself."""
    library.ingest([make_pdf(f"{name}.pdf", [f"page {name}"]) for name in "abc"])
    library.add_channel(None, "visual", "eyes")
    library.backfill()
    assert known["eyes"].batches == [3]
    assert stands(library)["visual"] == (True, 3, 3)


def test_a_page_that_can_not_be_drawn_is_left_out_and_noted(
    library: Library, make_pdf: MakePdf, known: dict[str, Letters], caplog: pytest.LogCaptureFixture
) -> None:
    library.ingest([make_pdf("a.pdf", ["first", "second"]), make_pdf("b.pdf", ["third"])])
    library.files.originals.remove(library.document("a.pdf").sha256)
    library.add_channel(None, "visual", "eyes")
    library.backfill()
    assert stands(library)["visual"] == (True, 3, 3)
    assert len(library.channels.of(library.collection().id)["visual"].index) == 1
    with pytest.raises(Unreadable, match="is not stored any more"):
        library.image(PageKey(library.document("a.pdf").id, 1, 1))
    notes = [record.getMessage() for record in caplog.records if "left out of the visual channel" in record.message]
    assert len(notes) == 2
    assert all("a.pdf" in note and "is not stored any more" in note for note in notes)


def test_an_encoder_that_goes_down_stops_its_channel_alone(
    library: Library, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    library.ingest([fruits(make_pdf)])
    library.add_channel(None, "visual", "down")
    library.backfill()  # comes back, and no error: the other channels are all right
    (_, visual) = library.channel_status()
    assert (visual.coverage.done, visual.problem) == (0, "The server is down. Start it.")
    assert library.unavailable == {"visual": "The server is down. Start it."}
    assert library.ingest([make_pdf("b.pdf", ["plums"])], wait=True).outcomes[0].status == "ready"
    known["down"].down = False  # type: ignore[attr-defined]
    library.backfill()
    assert stands(library)["visual"] == (True, 7, 7)
    assert library.unavailable == {}


def test_a_fault_in_an_encoder_stops_its_channel_alone_and_is_met_once(
    library: Library, make_pdf: MakePdf, known: dict[str, Letters], caplog: pytest.LogCaptureFixture
) -> None:
    library.ingest([make_pdf(f"{name}.pdf", [f"page {name}"] * 5) for name in "abcdef"])
    library.close()
    with Library(settings=library.settings) as library:
        library.add_channel(None, "visual", "broken")
        library.backfill()
        assert known["broken"].batches == [4]  # not once more for each document
        (_, visual) = library.channel_status()
        assert visual.coverage.done == 0
        assert "CUDA error: out of memory" in visual.problem
        assert "channels backfill" in visual.problem
        assert any(record.exc_info for record in caplog.records)
        assert library.ingest([make_pdf("g.pdf", ["plums"])], wait=True).outcomes[0].status == "ready"


def test_a_model_that_was_moved_away_stops_its_channel_alone(
    tmp_path: Path, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest([fruits(make_pdf)])
        library.add_channel(None, "semantic", "letters:a")
        library.catalog.recipes.add(library.collection().id, ChannelEntry("visual", "visual", "colpali:/moved", True))
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest([make_pdf("b.pdf", ["plums"])])
        result = library.retriever().search("plums")
        assert result.hits[0].document.filename == "b.pdf"
        assert any("'/moved' is neither a folder nor an id on the hub" in note for note in result.notes)
        assert "'/moved' is neither" in library.channel_status()[2].problem


def test_a_rebuild_goes_on_in_a_library_that_works(
    library: Library, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    library.ingest([fruits(make_pdf)])
    library.add_channel(None, "semantic", "letters:a")
    library.backfill()
    library.rebuild()
    assert stands(library) == {"lexical": (True, 6, 6), "semantic": (True, 6, 6)}
    assert {len(channel.index) for channel in library.channels.of(library.collection().id).values()} == {6}


def test_pages_on_their_way_into_an_index_that_is_erased_are_taken_in_anew(
    library: Library, make_pdf: MakePdf, known: dict[str, Letters]
) -> None:
    library.ingest([fruits(make_pdf, 24)])
    library.create_collection("other")
    begun = threading.Event()
    library.listen(lambda event: begun.set() if event.kind == "filled" else None)
    library.add_channel(None, "semantic", "letters:slow")
    assert begun.wait(20)
    library.remove_collection("other")
    library.rebuild()
    assert stands(library) == {"lexical": (True, 24, 24), "semantic": (True, 24, 24)}
    assert {len(channel.index) for channel in library.channels.of(library.collection().id).values()} == {24}


@pytest.mark.parametrize("work", ["run_outstanding", "backfill"])
def test_an_index_that_is_gone_fills_anew_though_nothing_was_outstanding(
    tmp_path: Path, make_pdf: MakePdf, known: dict[str, Letters], work: str
) -> None:
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest([fruits(make_pdf)])
        library.add_channel(None, "semantic", "letters:a")
        library.backfill()
        folder = library.folder / "indexes" / library.collection().id / "semantic"
    shutil.rmtree(folder)
    with Library(settings=settings(tmp_path / "data")) as library:
        getattr(library, work)()
        assert stands(library)["semantic"] == (True, 6, 6)
        assert len(library.channels.of(library.collection().id)["semantic"].index) == 6


def test_the_channels_of_a_new_collection_are_named_at_ingest(library: Library, make_pdf: MakePdf) -> None:
    path = fruits(make_pdf)
    library.ingest([path], collection="words", channels=["lexical", "semantic"])
    assert [entry.name for entry in library.collection("words").channels] == ["lexical", "semantic"]
    with pytest.raises(ConfigError, match=r"without the channel visual.*channels add visual -c words"):
        library.ingest([path], collection="words", channels=["visual"])


def test_a_folder_is_written_down_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "models")
    full = tmp_path / "models" / "tiny"
    assert settled("colpali:tiny") == f"colpali:{full}"
    assert settled("clip:local-dir:tiny") == f"clip:{full}"
    (tmp_path / "models" / "auto").mkdir()
    for spec in ("colpali:org/model", "semantic:auto", "lexical", "vllm:http://host:1#tiny", "clip:"):
        assert settled(spec) == spec
