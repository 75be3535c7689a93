"""Reading the pages that were found: a draft with quotes, each checked against its page, boxed and drawn."""

from generation.answer import answer, to_json
from generation.citations import Match, verify
from generation.highlight import draw, save
from generation.models import Choice, choose, open_model, open_vision_model

__all__ = [
    "Choice",
    "Match",
    "answer",
    "choose",
    "draw",
    "open_model",
    "open_vision_model",
    "save",
    "to_json",
    "verify",
]
