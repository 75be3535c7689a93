"""The answering model, composed of generation and what it borrows from retrieval; the replies that it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from folioscope.ports import AnswerModel
    from ingest import Library


def open_answer_model(library: Library, *, dry: bool = False) -> AnswerModel:
    """The configured answering model, with the cache where the settings say so. ``dry``: as in `generation.open_model`.

    Raises `ModelUnavailable`.
    """
    from generation import Cached, Reader, open_model
    from retrieval import analyzer

    settings = library.settings
    model = open_model(settings.model, settings, analyzer=analyzer(), encoder=library.text_encoder(), dry=dry)
    if settings.cache_answers and isinstance(model, Reader):
        return Cached(model, kept_answers(library))
    return model


def kept_answers(library: Library) -> Path:
    """Where replies are kept when that is asked for."""
    return library.folder / "answers.sqlite"


def forget_answers(library: Library, documents: Sequence[str]) -> None:
    """Replies that were given from pages of these documents go with them."""
    from generation import forget

    forget(kept_answers(library), documents)
