"""Stretches of the lists that are told newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from folioscope.errors import QueryError


def stretch(
    db: sa.Connection, table: sa.Table, wanted: sa.ColumnElement[bool], limit: int, after: str | None
) -> tuple[Sequence[Any], bool]:
    """At most ``limit`` rows, newest first, behind the one with the id ``after``; and whether there are more.

    Raises `QueryError` when ``after`` is none of them (any more).
    """
    created, row_id = table.c.created, table.c.id
    query = sa.select(table).where(wanted).order_by(created.desc(), row_id.desc())
    if after is not None:
        last = db.execute(sa.select(created).where(row_id == after, wanted)).scalar()
        if last is None:
            raise QueryError(f"There is no {after!r} to go on after.", hint="Start again without `after`.")
        query = query.where(sa.or_(created < last, sa.and_(created == last, row_id < after)))
    rows = db.execute(query.limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit
