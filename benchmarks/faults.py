"""`serve` killed with -9 at random moments during uploads, deletes, re-ingests and searches over HTTP.

    python -m benchmarks.faults [--json] [--kills 50] [--seed 0]

Three clients at a time upload documents whose pages each say a word of their own, delete them, have them read again and
search for them, until the server is killed; then it is started again, or killed while it starts. What a client was told
is written down. Searches are checked at once: a document that was ready is found once, on its page, a deleted one
never. In the end every document that was acknowledged must be ready or failed, each once, deleted ones gone, and the
index must hold a point for each of their pages and no other.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pymupdf  # noqa: F401 - here, for it takes seconds

from benchmarks.common import parser, show
from benchmarks.kill import make_document, word
from benchmarks.serving import PROGRAM, Server, environment, start

PAGES = 30
CLIENTS = 3
MANY = 25  # documents; more are deleted before others are uploaded
SETTLED_S = 300


@dataclass
class Told:
    """A document as clients know it. ``deleting``: a delete was sent; ``deleted``: and acknowledged."""

    number: int
    id: str = ""
    ready: bool = False
    deleting: bool = False
    deleted: bool = False
    busy: bool = False  # one client at a time writes to it

    @property
    def name(self) -> str:
        """Of its file."""
        return f"document-{self.number}.pdf"


@dataclass
class Ledger:
    """What was sent and what was acknowledged, by all clients."""

    seed: int
    reingests: bool
    told: list[Told] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def new(self) -> Told:
        """The next document, which nobody else writes to."""
        with self.guard:
            self.told.append(Told(len(self.told), busy=True))
            return self.told[-1]

    def take(self, chance: random.Random) -> Told | None:
        """A document that exists and that nobody else writes to."""
        with self.guard:
            free = [each for each in self.told if each.id and not each.deleting and not each.busy]
            if free:
                found = chance.choice(free)
                found.busy = True
                return found
        return None

    def living(self) -> int:
        """Documents that were acknowledged and that nobody deletes."""
        return sum(bool(each.id) and not each.deleting for each in self.told)


def act(client: httpx2.Client, ledger: Ledger, chance: random.Random, folder: Path) -> None:
    """One request. Whatever the server's end leaves open stays open in the ledger."""
    kinds = {"upload": 3 if ledger.living() < MANY else 0, "delete": 1, "search": 4, "reingest": 2 * ledger.reingests}
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    if kind == "search":
        search(client, ledger, chance)
    elif kind == "upload":
        upload(client, ledger, folder)
    elif document := ledger.take(chance):
        try:
            change(client, ledger, document, kind)
        finally:
            document.busy = False
    else:
        return
    ledger.done[kind] += 1


def upload(client: httpx2.Client, ledger: Ledger, folder: Path) -> None:
    document = ledger.new()
    try:
        path = make_document(folder / document.name, document.number, PAGES)
        answer = client.post("/v1/documents", files={"file": (document.name, path.read_bytes())})
        if answer.status_code == 202:
            document.id = answer.json()["document"]["id"]
        else:
            ledger.wrong.append(f"upload of {document.name}: {answer.status_code} {answer.text}")
    finally:
        document.busy = False


def change(client: httpx2.Client, ledger: Ledger, document: Told, kind: str) -> None:
    place = f"/v1/documents/{document.id}"
    if kind == "reingest":
        answer = client.post(f"{place}/reingest")
        expected = 202
    else:
        document.deleting = True
        answer = client.delete(place)
        expected = 204
    if answer.status_code != expected:
        ledger.wrong.append(f"{kind} of {document.name}: {answer.status_code} {answer.text}")
    document.deleted |= kind == "delete" and answer.status_code == expected


def search(client: httpx2.Client, ledger: Ledger, chance: random.Random) -> None:
    """For one page of a document; what was known before must be true, unless it changed meanwhile."""
    with ledger.guard:
        known = [each for each in ledger.told if each.id]
    if not known:
        return
    document, page = chance.choice(known), chance.randrange(1, PAGES + 1)
    was_deleted, was_ready = document.deleted, document.ready
    body = {"query": word(document.number, page), "channels": ["lexical"], "top_k": 5}
    answer = client.post("/v1/search", json=body)
    if answer.status_code != 200:
        ledger.wrong.append(f"search: {answer.status_code} {answer.text}")
        return
    found = [(hit["document"]["id"], hit["page"]) for hit in answer.json()["hits"]]
    if was_deleted and found:
        ledger.wrong.append(f"{document.name} was deleted and found: {found}")
    elif found not in ([(document.id, page)], []) or (was_ready and not found and not document.deleting):
        ledger.wrong.append(f"{document.name} page {page}: found {found}")
    document.ready |= bool(found)  # once found, always found


def traffic(server: Server, ledger: Ledger, folder: Path, seed: int) -> list[threading.Thread]:
    """The clients, each until the server is gone."""

    def client(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        with httpx2.Client(base_url=server.url, timeout=60, trust_env=False) as asking:
            while True:
                try:
                    act(asking, ledger, chance, folder)
                except httpx2.TransportError:
                    return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    return threads


def settle(client: httpx2.Client, ledger: Ledger) -> list[dict[str, Any]]:
    """Every document, once none is being read any more."""
    end = time.monotonic() + SETTLED_S
    while True:
        listed: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            page = client.get("/v1/documents", params={"limit": "100", **more}).json()
            listed += page["data"]
            more = {"after": page["last_id"]}
            if not page["has_more"]:
                break
        if all(each["status"] in ("ready", "failed") for each in listed):
            return listed
        if time.monotonic() > end:
            ledger.wrong += [f"{each['filename']} is still {each['status']}" for each in listed]
            return listed
        time.sleep(0.2)


def check(client: httpx2.Client, ledger: Ledger) -> int:
    """Completes what is wrong; returns how many documents there are."""
    listed = settle(client, ledger)
    ids = {each["id"] for each in listed}
    names = Counter(each["filename"] for each in listed)
    ledger.wrong += [f"{name} is there {count} times" for name, count in names.items() if count > 1]
    by_name = {each["filename"]: each for each in listed}
    for document in ledger.told:
        there = by_name.get(document.name)
        if document.deleted and (document.id in ids or there):
            ledger.wrong.append(f"{document.name} is back from the dead")
        if document.id and not document.deleting and document.id not in ids:
            ledger.wrong.append(f"{document.name} was acknowledged and is lost")
        if there and (there["status"], there["pages"]) != ("ready", PAGES):
            ledger.wrong.append(f"{document.name} is {there['status']} with {there['pages']} pages: {there['error']}")
        for page in (1, PAGES):
            body = {"query": word(document.number, page), "channels": ["lexical"]}
            hits = client.post("/v1/search", json=body).json()["hits"]
            found = [(hit["document"]["id"], hit["page"]) for hit in hits]
            if found != ([(there["id"], page)] if there else []):
                ledger.wrong.append(f"{document.name} page {page}: found {found} in the end")
    return len(listed)


def points(data: Path) -> tuple[int, int]:
    """In the index, and pages of current versions in the catalog."""
    from folioscope.settings import Settings
    from ingest import Library

    with Library(settings=Settings(data_dir=data, channels=("lexical",))) as library:
        (channel,) = library.channels.of(library.collection().id).values()
        return len(channel.index), sum(document.pages for document in library.documents())


def killed_at_start(data: Path, after: float) -> None:
    """A server that is killed so many seconds after it was started, wherever it stands."""
    import subprocess

    command = [*PROGRAM, "serve", "--port", "0", "-q"]
    with subprocess.Popen(command, env=environment(data, channels="lexical")) as process:
        time.sleep(after)
        process.kill()


def main() -> int:
    line = parser(__doc__)
    line.add_argument("--kills", type=int, default=50)
    line.add_argument("--seed", type=int, default=0)
    line.add_argument("--longest", type=float, default=6.0, help="seconds of requests before the latest kill")
    given = line.parse_args()
    chance, started = random.Random(given.seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        server = start(data, channels="lexical")
        paths = httpx2.get(f"{server.url}/openapi.json", timeout=60, trust_env=False).json()["paths"]
        ledger = Ledger(given.seed, "/v1/documents/{document}/reingest" in paths)
        at_start = 0
        for number in range(given.kills):
            if chance.random() < 0.15:
                server.kill()
                killed_at_start(data, chance.uniform(0.3, 3.0))
                at_start += 1
            else:
                threads = traffic(server, ledger, Path(folder), given.seed * 1000 + number)
                time.sleep(chance.uniform(0.1, given.longest))
                server.kill()
                for thread in threads:
                    thread.join()
            server = start(data, channels="lexical")
        with httpx2.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            documents = check(client, ledger)
        server.process.terminate()
        server.process.wait(120)
        held, pages = points(data)
        if held != pages:
            ledger.wrong.append(f"the index holds {held} points for {pages} pages")
    for what in ledger.wrong:
        print("WRONG:", what)
    figures = {
        "kills": given.kills,
        "of_them_at_start": at_start,
        "requests": dict(ledger.done),
        "acknowledged": sum(bool(each.id) for each in ledger.told),
        "deleted": sum(each.deleted for each in ledger.told),
        "documents": documents,
        "wrong": len(ledger.wrong),
        "seconds": round(time.perf_counter() - started, 1),
        "seed": given.seed,
    }
    show(figures, given.json)
    return bool(ledger.wrong)


if __name__ == "__main__":
    sys.exit(main())
