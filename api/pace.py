"""How long a job will still take, from how fast it came along while somebody looked."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from ingest.lookups import JobState

WINDOW_S = 60.0  # what came before says little about what is to come
SHORTEST_S = 1.0  # between two looks that a rate is made of
JOBS = 256  # that are remembered


class _Look(NamedTuple):
    at: float
    done: Mapping[str, int]


class Pace:
    """``clock``: seconds that only rise. Any thread may call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looks: OrderedDict[str, deque[_Look]] = OrderedDict()
        self._guard = threading.Lock()

    def eta_s(self, job: JobState, channels: Collection[str]) -> float | None:
        """Seconds until the job's pages are read and in these channels (keys), at the rates of the last minute.

        None where a rate is unknown: nobody has looked before, or nothing came along since; and while no document of
        the job was opened, so that nobody knows how many pages there are. Documents not opened yet count as the mean of
        the others.
        """
        total = _pages(job)
        done = {"": job.pages.done, **{key: share.done for key, share in job.channels.items() if key in channels}}
        first = self._look(job.id, done)
        if total is None or first is None:
            return None
        seconds = 0.0
        for name, pages in done.items():
            if (left := total - pages) <= 0:
                continue
            came = pages - first.done.get(name, 0)
            if came <= 0:
                return None
            seconds = max(seconds, left * (self._clock() - first.at) / came)
        return round(seconds, 1)

    def _look(self, job: str, done: Mapping[str, int]) -> _Look | None:
        """Remember this look; the oldest one of the last minute, if that is long enough ago."""
        now = self._clock()
        with self._guard:
            looks = self._looks.setdefault(job, deque())
            self._looks.move_to_end(job)
            while len(looks) > 1 and looks[1].at <= now - WINDOW_S:
                looks.popleft()
            if not looks or now - looks[-1].at >= SHORTEST_S:
                looks.append(_Look(now, dict(done)))
            while len(self._looks) > JOBS:
                self._looks.popitem(last=False)
            return looks[0] if now - looks[0].at >= SHORTEST_S else None


def _pages(job: JobState) -> int | None:
    """How many the job has in all, as far as one can tell."""
    queued = job.counts.get("queued", 0)
    opened = sum(job.counts.values()) - queued - job.counts.get("failed", 0)
    if queued and not opened:
        return None
    return job.pages.total + (round(queued * job.pages.total / opened) if queued else 0)
