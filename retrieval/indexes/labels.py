"""Metadata as labels: one string for each name and value, so that every filter is an exact match of strings."""

from __future__ import annotations

import json

from folioscope.domain import Metadata


def labels(metadata: Metadata) -> list[str]:
    """``name=value`` for each entry, the value as JSON.

    Equal numbers have equal labels, whether int or float; the text ``"1"``, the number 1 and true have different ones.
    """
    return [f"{name}={json.dumps(_plain(value))}" for name, value in metadata.items()]


def _plain(value: str | int | float | bool) -> str | int | float | bool:
    return int(value) if isinstance(value, float) and value.is_integer() else value
