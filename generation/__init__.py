"""Reading the pages that were found: a draft with quotes, each checked against its page, boxed and drawn."""

from generation.answer import Event, answer, stream, to_json
from generation.cache import Cached
from generation.citations import Match, verify
from generation.conversation import extended
from generation.highlight import draw, save
from generation.models import Choice, choose, open_model, open_vision_model
from generation.preview import Preview, preview
from generation.reader import Reader

__all__ = [
    "Cached",
    "Choice",
    "Event",
    "Match",
    "Preview",
    "Reader",
    "answer",
    "choose",
    "draw",
    "extended",
    "open_model",
    "open_vision_model",
    "preview",
    "save",
    "stream",
    "to_json",
    "verify",
]
