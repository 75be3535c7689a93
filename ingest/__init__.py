"""From a file's bytes to searchable pages, durably.

`Library` is an opened data folder: ``with Library("folio-data") as library: library.ingest(["reports/"])``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.intake import Outcome, Report
    from ingest.library import Library
    from ingest.pipeline import Event

__all__ = ["Event", "Library", "Outcome", "Report"]

_ROOMS = {"Event": "pipeline", "Library": "library", "Outcome": "intake", "Report": "intake"}


def __getattr__(name: str) -> Any:
    # At first use: the child processes import this package too, and need neither database nor indexes.
    if name in _ROOMS:
        return getattr(importlib.import_module(f"ingest.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
