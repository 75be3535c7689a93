"""Whether a process may have a catalog open beside others: who keeps vectors or originals to itself has it alone."""

from __future__ import annotations

from folioscope.errors import ConfigError, StorageError
from folioscope.settings import Settings
from ingest.database import Database, Hold


def join(database: Database, settings: Settings) -> Hold:
    """Take part in a catalog, together with others or alone, as the settings say. Raises `StorageError`."""
    wanted = {"FOLIOSCOPE_QDRANT_URL": settings.qdrant_url, "FOLIOSCOPE_FILES_URL": settings.files_url}
    missing = " and ".join(name for name, value in wanted.items() if not value)
    if not settings.run_jobs and (missing or not database.shared):
        raise ConfigError(
            "This process is to leave its jobs to others, and none could do them.",
            hint=f"Set {missing if database.shared else 'FOLIOSCOPE_DATABASE_URL (Postgres)'}, or let it do them.",
        )
    hold = database.hold("catalog", alone=bool(missing))
    if hold is None and missing:
        raise StorageError(
            "Another process has the catalog open, and this one would keep vectors or originals in its own data "
            "folder, where the other can't reach them.",
            hint=f"Set {missing} for both, or stop the other.",
        )
    if hold is None:
        raise StorageError(
            "A process that keeps vectors or originals in its own data folder has the catalog open.",
            hint="Set FOLIOSCOPE_QDRANT_URL and FOLIOSCOPE_FILES_URL for it, too, or stop it.",
        )
    return hold
