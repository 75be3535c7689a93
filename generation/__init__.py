"""Reading the pages that were found: a draft with quotes, each checked against its page, boxed and drawn."""

from generation.answer import answer, to_json
from generation.citations import Match, verify
from generation.highlight import draw, save
from generation.models import open_model

__all__ = ["Match", "answer", "draw", "open_model", "save", "to_json", "verify"]
