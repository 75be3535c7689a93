"""Searches over HTTP by many clients on loopback, and by one while documents are taken in; the server by itself.

    python -m benchmarks.load [--json] [--data-dir DIR] [--clients 32] [--seconds 60]

The dev corpus is taken in first, with all of its channels (``--data-dir``: into a folder that is kept and, when it
holds documents, used as it is). Clients ask its questions, each in another order. Then 50 documents are handed in, the
corpus' own under other hashes, to a collection of their own, while one client goes on to ask.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

import httpx2

from benchmarks.common import need_corpus, parser, show
from benchmarks.serving import served

MORE = "load-more"
DOCUMENTS = 50
HEAD = b"POST /v1/search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Asked:
    """Milliseconds of the searches that were answered, and how many ended otherwise, by status."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self.errors: Counter[str] = Counter()

    def figures(self, name: str, seconds: float) -> dict[str, Any]:
        """By name."""
        return {
            f"{name}_searches": len(self.ms),
            f"{name}_errors": self.errors.total(),
            f"{name}_a_second": round(len(self.ms) / seconds, 1),
            f"{name}_p50_ms": round(median(self.ms), 2),
            f"{name}_p95_ms": round(quantiles(self.ms, n=20)[-1], 2),
        }


async def client(url: str, bodies: list[bytes], end: asyncio.Event, asked: Asked) -> None:
    """One connection that asks again as soon as it is answered. By hand: a client library would take as much of the
    processor as the server does, and there are two cores.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port
    reader, writer = await asyncio.open_connection(host, port)
    number = 0
    while not end.is_set():
        body = bodies[number % len(bodies)]
        number += 1
        started = time.perf_counter()
        writer.write(HEAD % len(body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        status = head.split()[1]
        if status == "200":
            asked.ms.append((time.perf_counter() - started) * 1000)
        else:
            asked.errors[status] += 1
    writer.close()
    await writer.wait_closed()


async def ask(url: str, questions: list[str], clients: int, seconds: float | asyncio.Event) -> tuple[Asked, float]:
    """``clients`` at a time, for so long or until the event; what they saw, and the seconds it took."""
    asked, end = Asked(), seconds if isinstance(seconds, asyncio.Event) else asyncio.Event()
    started = time.perf_counter()
    tasks = []
    for number in range(clients):
        order = random.Random(number).sample(questions, len(questions))
        bodies = [json.dumps({"query": question}).encode() for question in order]
        tasks.append(asyncio.create_task(client(url, bodies, end, asked)))
    if not isinstance(seconds, asyncio.Event):
        await asyncio.wait(tasks, timeout=seconds)
        end.set()
    await asyncio.gather(*tasks)
    return asked, time.perf_counter() - started


def others(files: list[Path], folder: Path) -> list[Path]:
    """`DOCUMENTS` files with the content of these and bytes that are not there yet."""
    made = []
    for number in range(DOCUMENTS):
        path = folder / f"{number}-{files[number % len(files)].name}"
        path.write_bytes(files[number % len(files)].read_bytes() + f"\n%{number} {time.time()}\n".encode())
        made.append(path)
    return made


def take_in(url: str, files: list[Path], collection: str | None = None) -> None:
    """Returns when each is ready or failed."""
    params = {"collection": collection} if collection else {}
    with httpx2.Client(base_url=url, timeout=120, trust_env=False) as http:
        jobs = []
        for path in files:
            made = http.post("/v1/documents", params=params, files={"file": (path.name, path.read_bytes())})
            made.raise_for_status()
            jobs.append(made.json()["job"])
        for job in filter(None, jobs):
            while http.get(f"/v1/jobs/{job}").json()["state"] == "running":
                time.sleep(0.2)


def filled(url: str) -> None:
    """Returns when every channel has every page."""
    with httpx2.Client(base_url=url, timeout=120, trust_env=False) as http:
        while True:
            found = http.post("/v1/search", json={"query": "page"}).json()["coverage"]
            if all(share["done"] == share["total"] for share in found.values()):
                return
            time.sleep(1)


async def while_taking_in(url: str, questions: list[str], files: list[Path]) -> tuple[Asked, float]:
    """One client, from the first upload until the last document is ready."""
    end = asyncio.Event()
    asking = asyncio.create_task(ask(url, questions, 1, end))
    await asyncio.to_thread(take_in, url, files, MORE)
    end.set()
    return await asking


def measure(url: str, questions: list[str], files: list[Path], clients: int, seconds: float) -> dict[str, Any]:
    """All figures."""
    asyncio.run(ask(url, questions, 1, 3))  # models load, caches fill
    one, one_s = asyncio.run(ask(url, questions, 1, min(seconds, 20)))
    many, many_s = asyncio.run(ask(url, questions, clients, seconds))
    found = {**one.figures("one", one_s), **many.figures("many", many_s), "clients": clients}
    limit = clients / (os.cpu_count() or 1) * found["one_p50_ms"] * 1.5
    found |= {"many_p95_limit_ms": round(limit, 2), "many_p95_of_limit": round(found["many_p95_ms"] / limit, 2)}
    with httpx2.Client(base_url=url, timeout=120, trust_env=False) as http:
        http.delete(f"/v1/collections/{MORE}")  # of a run that was cut off
        http.post("/v1/collections", json={"name": MORE}).raise_for_status()
        beside, beside_s = asyncio.run(while_taking_in(url, questions, files))
        http.delete(f"/v1/collections/{MORE}")
    found |= beside.figures("ingesting", beside_s) | {"ingesting_s": round(beside_s, 1), "documents": len(files)}
    return found | {"ingesting_p95_of_idle": round(found["ingesting_p95_ms"] / found["one_p95_ms"], 2)}


def main() -> int:
    line = parser(__doc__)
    line.add_argument("--data-dir", type=Path, help="keep the index here, or use the one that is here")
    line.add_argument("--clients", type=int, default=32)
    line.add_argument("--seconds", type=float, default=60.0)
    given = line.parse_args()
    corpus = need_corpus("dev")
    files = sorted((corpus / "docs").iterdir())
    questions = [json.loads(row)["question"] for row in (corpus / "questions.jsonl").read_text().splitlines()]
    with tempfile.TemporaryDirectory() as folder, served(given.data_dir or Path(folder) / "data") as server:
        if not httpx2.get(f"{server.url}/v1/collections", trust_env=False).json()["data"]:
            take_in(server.url, files)
        filled(server.url)
        figures = measure(server.url, questions, others(files, Path(folder)), given.clients, given.seconds)
    show(figures, given.json)
    good = figures["many_p95_of_limit"] <= 1 and figures["ingesting_p95_of_idle"] <= 3
    return not good or bool(figures["many_errors"] + figures["ingesting_errors"])


if __name__ == "__main__":
    sys.exit(main())
