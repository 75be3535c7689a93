"""Reading pages: answers from those that were found, fields and summaries of whole documents, every quote checked."""

from generation.answer import Event, answer, stream
from generation.cache import Cached
from generation.citations import Match, verify
from generation.classify import Classification, classify, classify_async
from generation.compare import Comparison, compare, compare_async
from generation.conversation import extended
from generation.extract import Extraction, extract, extract_async
from generation.highlight import draw, save
from generation.look import Look, look, look_async
from generation.models import Choice, choose, open_model, open_vision_model
from generation.plain import to_json
from generation.preview import Preview, preview
from generation.reader import Reader
from generation.summarize import Summary, summarize, summarize_async

__all__ = [
    "Cached",
    "Choice",
    "Classification",
    "Comparison",
    "Event",
    "Extraction",
    "Look",
    "Match",
    "Preview",
    "Reader",
    "Summary",
    "answer",
    "choose",
    "classify",
    "classify_async",
    "compare",
    "compare_async",
    "draw",
    "extended",
    "extract",
    "extract_async",
    "look",
    "look_async",
    "open_model",
    "open_vision_model",
    "preview",
    "save",
    "stream",
    "summarize",
    "summarize_async",
    "to_json",
    "verify",
]
