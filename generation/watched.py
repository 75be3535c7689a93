"""How long a model takes and what comes of it, told to whoever measures."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from folioscope.domain import Answer
from folioscope.errors import FolioscopeError
from folioscope.telemetry import Answered, tell


class Watch:
    """Of one answer of ``model``; begins now."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._began = time.perf_counter()
        self._first_s: float | None = None

    def piece(self) -> None:
        """Something came from the model."""
        if self._first_s is None:
            self._first_s = time.perf_counter() - self._began

    def answered(self, answer: Answer) -> Answer:
        """Tell of it, and hand it back."""
        quotes: Counter[str] = Counter(citation.quote_status for citation in answer.citations)
        seconds = time.perf_counter() - self._began
        tell(Answered(self._model, answer.status, seconds, self._first_s, quotes=quotes, usage=answer.usage))
        return answer

    def failed(self, error: FolioscopeError) -> None:
        """Tell why there is none."""
        tell(Answered(self._model, "failed", time.perf_counter() - self._began, self._first_s, error.code))


@contextmanager
def watched(model: str) -> Iterator[Watch]:
    """While it drafts; an error that passes is told."""
    watch = Watch(model)
    try:
        yield watch
    except FolioscopeError as error:
        watch.failed(error)
        raise
