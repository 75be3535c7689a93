"""The settings in force, for people: value, origin, what each is for; no secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from folioscope.settings import Settings, origin

SECRETS = re.compile(r"(?<=://)([^/?#\s:@]*):[^\s]*@|(?<=[?&])(\w*password)=[^&\s]*", re.IGNORECASE)
"""What URLs carry: the password behind the user, or in the query."""


def described(settings: Settings, flags: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Name, value (as JSON), origin and meaning of every setting. ``flags``: those that were given."""
    values = settings.model_dump(mode="json")  # secrets are stars in it
    return [
        {
            "name": name,
            "value": _shown(values[name]),
            "origin": origin(name, flags),
            "about": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: Any) -> Any:
    return SECRETS.sub(_starred, value) if isinstance(value, str) else value


def _starred(found: re.Match[str]) -> str:
    return f"{found[1]}:***@" if found[2] is None else f"{found[2]}=***"
