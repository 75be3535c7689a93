"""From a file's bytes to searchable pages, durably.

`Library` is an opened data folder: ``with Library("folio-data") as library: library.ingest(["reports/"])``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.library import Library, Outcome, Report
    from ingest.pipeline import Event

__all__ = ["Event", "Library", "Outcome", "Report"]


def __getattr__(name: str) -> Any:
    # At first use: the child processes import this package too, and need neither database nor indexes.
    if name in __all__:
        from ingest import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
