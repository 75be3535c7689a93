"""The server's log: a line for each thing worth one, as text or as JSON, each with the request that it belongs to.

No secret, nothing of a document and no question is in it. So of an error that is none of ours the log has its kind and
where it was raised, but not its words, which may quote what was being worked on; and what looks like a key is blotted
out wherever it stands.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from folioscope.errors import FolioscopeError

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered here."""

access = logging.getLogger("api.access")
SECRETS = re.compile(r"(?i)\b(bearer\s+|(?:api[-_]?key|password|secret|token)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+")
KEYS = re.compile(r"\b(fol_|sk-|AIza|AKIA|hf_)[\w-]{8,}|(?<=://)[^/@\s]+:[^/@\s]+(?=@)")
BLOT = "•••"


def start(*, as_json: bool) -> None:
    """Everything from now on goes to stderr in one way; requests are told of in JSON alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    access.setLevel(logging.INFO if as_json else logging.WARNING)


class Lines(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        """Level, name, what happened; an error's places on lines of their own."""
        who = f" {request_id.get()}" if request_id.get() else ""
        fault = _fault(record)
        places = [f"\n    {fault['error']}", *(f"\n    {place}" for place in fault["at"])] if fault else []
        return blotted(f"{record.levelname.lower()} {record.name}{who}: {record.getMessage()}{''.join(places)}")


class JsonLines(logging.Formatter):
    """For programs: one JSON object a line. ``request``: what a request was and came to, where the line is of one."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, request_id, then what else there is."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": blotted(record.getMessage()),
            "request_id": request_id.get() or None,
            **getattr(record, "request", {}),
            **_fault(record),
        }
        return json.dumps(line, ensure_ascii=False)


def _fault(record: logging.LogRecord) -> dict[str, Any]:
    """Of an exception that is logged: its kind, of ours its words, and where it passed, innermost last."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return {}
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    said = f": {blotted(error.message)}" if isinstance(error, FolioscopeError) else ""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": f"{kind}{said}", "at": [f"{each.filename}:{each.lineno} {each.name}" for each in frames]}


def blotted(text: str) -> str:
    """Without what looks like a key."""
    return KEYS.sub(BLOT, SECRETS.sub(rf"\1{BLOT}", text))
