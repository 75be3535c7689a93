"""Any vision-language model as an answering one: pages in, a draft with quotes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

from folioscope.domain import Draft, DraftSegment, Finish, GivenPage, Picture, PictureLimits, Prompt, Turn
from folioscope.errors import FolioscopeError, ModelError, ModelUnavailable, PromptTooLong
from folioscope.ports import VisionModel
from folioscope.settings import Settings
from generation import conversation
from generation.evidence import page_name
from generation.pictures import picture
from generation.prompt import prompt
from generation.protocol import Piece, Reply
from generation.running import closing

MOST_CHARACTERS = 200_000
"""Of a reply; a model that goes on is cut."""

KEPT_PICTURES = 64
"""Pictures of the pages that were shown last, some 20 MB: questions that follow each other are often about the same."""


class Reader:
    """Implements `folioscope.ports.AnswerModel` over a `VisionModel`.

    Where the prompt is too long for the model, it is given fewer pages, the best ones, and at last a smaller picture.
    An error before the first text is raised; after it, the draft is what had come. Either is said in its warnings.
    """

    def __init__(self, model: VisionModel, settings: Settings) -> None:
        self.model = model
        self.page_words = settings.page_words
        self._kept: dict[tuple[str, int, int, PictureLimits], Picture] = {}

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    async def standing(self, question: str, history: Sequence[Turn]) -> str | None:
        """See `conversation.standing`."""
        return await conversation.standing(question, history, self.model)

    async def prompt(
        self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
    ) -> tuple[Prompt, tuple[str, ...]]:
        """What the model is sent at first, and what of the pages it will not see."""
        return await self._prompt(question, pages, history, self.model.limits)

    async def draft(
        self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
    ) -> AsyncIterator[str | DraftSegment | Draft]:
        """As `AnswerModel.draft`. Raises `ModelError` and its kin where no text has come."""
        attempts = list(_attempts(len(pages), self.model.limits))
        for number, (count, limits) in enumerate(attempts, 1):
            asked, notes = await self._prompt(question, pages[:count], history, limits)
            reading = _Reading(asked)
            try:
                async for piece in reading.pieces(self.model):
                    yield piece
            except PromptTooLong:
                if number == len(attempts):
                    raise
                continue
            if number > 1:
                notes = (*notes, _too_long(count, len(pages), limits))
            yield reading.draft(notes)
            return

    async def _prompt(
        self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn], limits: PictureLimits
    ) -> tuple[Prompt, tuple[str, ...]]:
        drawn = await asyncio.gather(*(self._drawn(page, limits) for page in pages[: limits.max_pictures]))
        pictures = [image if isinstance(image, Picture) else None for image in drawn]
        pictures += [None] * (len(pages) - len(drawn))
        notes = [image for image in drawn if isinstance(image, str)]
        if len(drawn) < len(pages):
            notes.append(f"The model takes {len(drawn)} images: of the other pages it was given the words alone.")
        made = prompt(
            question, pages, pictures, structured=self.model.structured, words=self.page_words, history=history
        )
        return made, tuple(notes)

    async def _drawn(self, page: GivenPage, limits: PictureLimits) -> Picture | str | None:
        """The page's picture, or why there is none."""
        if page.image is None:
            return None
        key = (page.document.id, page.document.version, page.page, limits)
        kept = self._kept.pop(key, None)
        try:
            if kept is None:
                image = await asyncio.to_thread(page.image, limits.long_edge)
                kept = await asyncio.to_thread(picture, image, limits)
        except FolioscopeError as error:
            return f"{page_name(page)} could not be shown to the model: {error}"
        self._kept[key] = kept  # the last one of all
        while len(self._kept) > KEPT_PICTURES:
            self._kept.pop(next(iter(self._kept)))
        return kept


class _Reading:
    """One reply of the model, and what becomes of it."""

    def __init__(self, asked: Prompt) -> None:
        self._asked = asked
        self._segments: list[DraftSegment] = []
        self._finish: Finish | None = None
        self._broken = ""
        self._cut = False
        self._begun = False

    async def pieces(self, model: VisionModel) -> AsyncIterator[Piece]:
        """Text and segments. An error before them is raised, one after them ends the reply."""
        reply = Reply()
        try:
            async with closing(self._received(model)) as received:
                async for text in received:
                    for piece in self._kept(reply.feed(text)):
                        yield piece
        except (ModelError, ModelUnavailable) as error:
            if not self._begun:
                raise
            self._broken = f"The reply broke off: {error}"
        for piece in self._kept(reply.close()):
            yield piece

    async def _received(self, model: VisionModel) -> AsyncIterator[str]:
        room = MOST_CHARACTERS
        async with closing(model.generate(self._asked)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    self._finish = piece
                    return
                yield piece[:room]
                room -= len(piece)
                if room < 0:
                    self._cut = True
                    self._broken = f"The reply was cut after {MOST_CHARACTERS:,} characters."
                    return

    def _kept(self, pieces: list[Piece]) -> list[Piece]:
        self._begun = self._begun or bool(pieces)
        self._segments += [piece for piece in pieces if isinstance(piece, DraftSegment)]
        return pieces

    def draft(self, notes: Sequence[str]) -> Draft:
        """All of it, with what a person should know."""
        finish = self._finish
        said = self._broken or ("" if finish else "The reply broke off.")
        if finish and finish.reason == "length":
            said = f"The reply ran into its limit of {self._asked.max_tokens:,} tokens and was cut."
        return Draft(
            tuple(self._segments),
            usage=finish.usage if finish else {},
            refused=finish is not None and finish.reason == "refusal",
            warnings=(*notes, said) if said else tuple(notes),
            cut=self._cut or (finish is not None and finish.reason == "length"),
        )


def _attempts(pages: int, limits: PictureLimits) -> Iterator[tuple[int, PictureLimits]]:
    """How many pages, and how large, one attempt after the other: half the pages each time, then a smaller picture."""
    yield pages, limits
    while pages > 1:
        pages = (pages + 1) // 2
        yield pages, limits
    if pages:
        yield pages, replace(limits, long_edge=limits.long_edge // 2)


def _too_long(count: int, of: int, limits: PictureLimits) -> str:
    shown = f"the best {count} of {of} pages" if count > 1 else "the best page"
    return f"The prompt was too long for the model: it was given {shown}, at most {limits.long_edge} pixels each."
