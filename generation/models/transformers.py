"""Any local vision-language model of transformers: ``transformers:<folder or hub id>``.

One back end for every checkpoint whose class transformers lists under `AutoModelForImageTextToText` (LLaVA, Qwen-VL,
InternVL, SmolVLM, BLIP-2, Florence-2 ...), and for Phi-4 multimodal, which it lists elsewhere. Code that comes with a
checkpoint is never run.

What the model is asked is laid out by the chat template of the checkpoint's processor. A template that refuses a system
message, or leaves it out, gets its words in the user's. Where there is no template at all the words follow each other,
an empty line between them, and a picture is the processor's image token; `SEE_ONE` lists the families whose processors
put their one picture in front of the text themselves.

Decoding is greedy: the same pages and question give the same words.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from folioscope.domain import Finish, Picture, PictureLimits, Prompt
from folioscope.errors import ModelError, ModelUnavailable, PromptTooLong
from folioscope.settings import Settings
from folioscope.torch_device import EXTRA, Device, choose_device, import_torch, is_out_of_memory
from generation.schemas import in_words

LONG_EDGE = 1540
"""Pixels of the longer side: about 130 dpi on A4. Processors scale down to what their model sees."""

MAX_PICTURES = 8
"""Even where a model's context holds more: they are looked at on the user's own machine."""

RESERVED = 2048
"""Tokens of the context that pictures leave for the question, the pages' words and the reply."""

LEAST_REPLY = 256
"""Tokens of the reply that there must be room for, unless fewer are wanted."""

GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
"""Over what a checkpoint's generation_config.json may say."""

SEE_ONE = {"blip", "blip-2", "florence2", "git", "instructblip", "kosmos-2", "paligemma"}
"""Families (``model_type``) that see one picture, which their processors place."""

CAUSAL = {"phi4_multimodal"}
"""Families that see pictures although transformers lists their class under `AutoModelForCausalLM`."""

_FILES = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors")
_REPO = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_HUB_TIMEOUT_S = 5.0  # for the hub's first word; downloads take the time they take


class Transformers:
    """Implements `folioscope.ports.VisionModel`. One prompt at a time is on the device; others wait.

    ``checkpoint``: a folder as ``save_pretrained`` writes it, or a hub id, downloaded where the hub's cache has not got
    it. Processor and weights are loaded when first needed. No setting concerns it. ``device``: as `choose_device` finds
    it unless given.
    Raises `ModelUnavailable` where the extra or the checkpoint is missing, or the checkpoint's class is no such model.
    """

    def __init__(self, checkpoint: str, settings: Settings, *, device: Device | None = None) -> None:  # noqa: ARG002
        _require_extra()
        self.name = f"transformers:{checkpoint}"
        self.folder = find(checkpoint)
        self.family = family(self.folder)
        self._given_device = device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")

    @cached_property
    def limits(self) -> PictureLimits:
        """As many pictures of A4 pages as the context holds, measured on one. Loads the processor, not the weights."""
        return PictureLimits(LONG_EDGE, 20 << 20, self._thread.submit(self._max_pictures).result())

    @property
    def structured(self) -> bool:
        """False: nothing holds its replies to a schema; it is told one in words."""
        return False

    async def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        """See `VisionModel`. Whoever stops reading stops the model at its next token."""
        loop = asyncio.get_running_loop()
        inputs, room = await loop.run_in_executor(self._thread, self._prepare, prompt)
        streamer, watch = self._streamer(), _Watch(self._ends)
        run = loop.run_in_executor(self._thread, self._run, inputs, room, streamer, watch)
        try:
            async for piece in streamer:
                if piece:
                    yield piece
            await run
        finally:
            watch.stopped = True
            await asyncio.wait([run])
            run.exception()  # looked at, also where nobody waits for it any more
        usage = {"input_tokens": int(inputs["input_ids"].shape[1]), "output_tokens": watch.tokens}
        yield Finish("length" if watch.tokens >= room and not self._ended(watch) else "stop", usage)

    # --- on the thread of this model ----------------------------------------------------------------------------------

    def _prepare(self, prompt: Prompt) -> tuple[Any, int]:
        """The prompt as tensors on the device, and how many tokens the reply may have."""
        self._model  # noqa: B018 - loads the weights: an error of theirs comes before any of the prompt's
        inputs = self._inputs(prompt)
        tokens, context = int(inputs["input_ids"].shape[1]), self._context
        room = prompt.max_tokens
        if context is not None:
            room = min(room, context if self._config.is_encoder_decoder else context - tokens)
            if tokens >= context or room < min(prompt.max_tokens, LEAST_REPLY):
                raise PromptTooLong(
                    f"The prompt has {tokens:,} tokens, and {self.name} takes {context:,} with its reply.",
                    hint="Give it fewer pages, or choose a model with a longer context.",
                )
        return inputs.to(self._device.device, self._device.dtype), room

    def _run(self, inputs: Any, room: int, streamer: Any, watch: _Watch) -> None:
        torch = import_torch()
        try:
            if watch.stopped:
                return
            with torch.inference_mode():
                self._model.generate(
                    **inputs, **GREEDY, max_new_tokens=room, streamer=streamer, stopping_criteria=[watch]
                )
        except Exception as error:
            raise self._failed(error) from error
        finally:
            streamer.end()

    def _inputs(self, prompt: Prompt) -> Any:
        """What the processor makes of the prompt: ``input_ids`` int64 [1, tokens], pixels, masks."""
        pictures = [_opened(part) for part in prompt.parts if isinstance(part, Picture)]
        if self._sees_one and len(pictures) > 1:
            raise ModelError(
                f"{self.name} was given {len(pictures)} pictures and looks at one.",
                hint="Ask about one page, or choose a model that looks at several.",
            )
        if self._sees_one and not pictures:
            pictures = [_opened(_blank_page())]  # it can't do without
        text = self._written(prompt)
        special = {"add_special_tokens": False} if self._starts_itself(text) else {}
        images = pictures if self._sees_one else [pictures]
        try:
            made = self._processor(text=[text], images=images if pictures else None, return_tensors="pt", **special)
        except Exception as error:
            raise self._failed(error) from error
        for name in ("qformer_input_ids", "qformer_attention_mask"):
            if name in made:  # InstructBLIP's part that looks for what is asked: of a long prompt it gets the end
                made[name] = made[name][:, -self._config.qformer_config.max_position_embeddings :]
        return made

    def _written(self, prompt: Prompt) -> str:
        """The whole prompt as the tokenizer is given it, pictures as the processor's image token."""
        if not getattr(self._processor, "chat_template", None):
            return self._plain(prompt)
        system = self._harmless(prompt.system).strip()
        messages = [self._message(turn.role, (turn.text,)) for turn in prompt.history]
        messages.append(self._message("user", _with_schema(prompt)))
        try:
            text = self._templated([self._message("system", (system,)), *messages] if system else messages)
        except _template_error():
            text = ""
        if system not in text or not text:
            first = messages[0]
            first["content"].insert(0, {"type": "text", "text": f"{system}\n\n"})
            text = self._templated(messages)
        return text

    def _templated(self, messages: Sequence[dict[str, Any]]) -> str:
        return str(self._processor.apply_chat_template(messages, add_generation_prompt=True))

    def _message(self, role: str, parts: Sequence[str | Picture]) -> dict[str, Any]:
        content = [
            {"type": "text", "text": self._harmless(part)} if isinstance(part, str) else {"type": "image"}
            for part in parts
        ]
        return {"role": role, "content": content}

    def _plain(self, prompt: Prompt) -> str:
        turns = [f"{turn.role}: {turn.text}" for turn in prompt.history]
        texts = [prompt.system, *turns, *(part for part in _with_schema(prompt) if isinstance(part, str))]
        if self._sees_one:
            return "\n\n".join(self._harmless(text) for text in texts if text)
        parts = [prompt.system, *turns, *_with_schema(prompt)]
        token = next(iter(_image_token(self._processor)), None)
        if token is None:
            raise ModelUnavailable(
                f"{self.name} has neither a chat template nor an image token: it can't be asked questions.",
                hint="Choose a model that follows instructions, such as one of the Qwen-VL family.",
            )
        return "\n\n".join(token if isinstance(part, Picture) else self._harmless(part) for part in parts if part)

    def _harmless(self, text: str) -> str:
        """The text, in which nothing is one of the tokenizer's control tokens: pages and questions may spell them."""
        return self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _starts_itself(self, text: str) -> bool:
        begin = self._processor.tokenizer.bos_token
        return bool(begin) and text.startswith(begin)

    # --- what is loaded -----------------------------------------------------------------------------------------------

    @cached_property
    def _device(self) -> Device:
        return self._given_device or choose_device()

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(self.folder, local_files_only=True)

    @cached_property
    def _context(self) -> int | None:
        """Tokens of prompt and reply together; of an encoder, of the prompt alone. None where the config is silent."""
        context = getattr(self._config.get_text_config(), "max_position_embeddings", None)
        return int(context) if context else None

    @cached_property
    def _processor(self) -> Any:
        from transformers import AutoProcessor

        try:
            processor = AutoProcessor.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            raise self._broken("processor", error) from error
        if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
            raise self._broken("processor", ValueError(f"there is only a {type(processor).__name__}"))
        return processor

    @cached_property
    def _control(self) -> re.Pattern[str]:
        tokenizer = self._processor.tokenizer
        tokens = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab(), *_image_token(self._processor)}
        spelt = sorted((token for token in tokens if len(token.strip()) > 1), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, spelt)) or "(?!)")

    @cached_property
    def _model(self) -> Any:
        import transformers

        transformers.utils.logging.disable_progress_bar()
        kind = transformers.AutoModelForCausalLM if self.family in CAUSAL else transformers.AutoModelForImageTextToText
        try:
            model = kind.from_pretrained(self.folder, dtype=self._device.dtype, local_files_only=True)
            return model.to(self._device.device).eval()
        except Exception as error:
            raise self._broken("weights", error) from error

    @cached_property
    def _ends(self) -> frozenset[int]:
        """The tokens that end a reply."""
        ends = self._model.generation_config.eos_token_id
        return frozenset([ends] if isinstance(ends, int) else ends or ())

    def _ended(self, watch: _Watch) -> bool:
        """Whether the model itself ended its reply; some are made to end it where its room does."""
        return watch.ended and self._model.generation_config.forced_eos_token_id is None

    @property
    def _sees_one(self) -> bool:
        return self.family in SEE_ONE

    def _max_pictures(self) -> int:
        if self._sees_one:
            return 1
        if self._context is None:
            return MAX_PICTURES
        page = Prompt("", ("x", _blank_page()))
        counts = [int(self._inputs(Prompt("", parts))["input_ids"].shape[1]) for parts in (page.parts, ("x",))]
        return max(1, min(MAX_PICTURES, (self._context - RESERVED) // max(1, counts[0] - counts[1])))

    def _streamer(self) -> Any:
        from transformers import AsyncTextIteratorStreamer

        return AsyncTextIteratorStreamer(self._processor.tokenizer, skip_prompt=True, skip_special_tokens=True)

    def _failed(self, error: Exception) -> ModelError:
        if is_out_of_memory(error):
            hint = "Ask about fewer pages, or choose a smaller model."
            return ModelError(f"{self.name} ran out of memory on {self._device.note}.", hint=hint)
        hint = "The checkpoint may be incomplete, or of another version of transformers than the one installed."
        return ModelError(f"{self.name} failed: {_first_line(error)}", hint=hint)

    def _broken(self, part: str, error: Exception) -> ModelError | ModelUnavailable:
        if is_out_of_memory(error):
            return self._failed(error)
        return ModelUnavailable(
            f"The {part} of {self.name} can't be loaded: {_first_line(error)}",
            hint="A checkpoint is what save_pretrained of the model and of its processor write into one folder.",
        )


class _Watch:
    """A stopping criterion that counts tokens and stops when told to. Called by transformers after each token."""

    def __init__(self, ends: frozenset[int]) -> None:
        self.ends = ends
        self.stopped = self.ended = False
        self.tokens = 0

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002
        """ids: int64 [1, tokens so far]; gives bool [1], whether to stop."""
        self.tokens += 1
        self.ended = int(ids[0, -1]) in self.ends
        return import_torch().full((ids.shape[0],), self.stopped, device=ids.device)


def find(checkpoint: str) -> Path:
    """The folder of a checkpoint: itself, or the hub's cache, filled from the hub where it has to be."""
    folder = Path(checkpoint).expanduser()
    if not folder.is_dir():
        if not _REPO.fullmatch(checkpoint):
            raise ModelUnavailable(
                f"{checkpoint!r} is neither a folder nor a hub id.",
                hint="Name a folder with config.json and *.safetensors, or an id such as organisation/model.",
            )
        folder = _fetch(checkpoint)
    missing = [pattern for pattern in ("config.json", "*.safetensors") if not any(folder.glob(pattern))]
    if missing:
        raise ModelUnavailable(
            f"There is no checkpoint in {folder}: it has no {missing[0]}.",
            hint="A checkpoint is what save_pretrained writes: config.json, *.safetensors, tokenizer and processor.",
        )
    return folder


def family(folder: Path) -> str:
    """The ``model_type`` of a checkpoint. Raises `ModelUnavailable` where its class does not see pictures and write."""
    known = {*_families(), *CAUSAL}
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model_type = str(config["model_type"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(
            f"config.json in {folder} names no model_type ({_first_line(error)}).", hint="Copy the checkpoint again."
        ) from None
    if model_type not in known:
        own = " It comes with code of its own, which is not run: look for its '-hf' variant." * ("auto_map" in config)
        raise ModelUnavailable(
            f"The checkpoint in {folder} is of the family {model_type!r}, which does not look at pictures and write "
            f"about them as transformers has it.{own}",
            hint=f"Families that do: {', '.join(sorted(known))}.",
        )
    return model_type


def _families() -> Sequence[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return list(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


def _require_extra() -> None:
    import_torch(ModelUnavailable)
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise ModelUnavailable(
            f"Local models need transformers, which is not installed ({error}).",
            hint=f"{EXTRA}; `extractive` answers without any model.",
        ) from None


def _fetch(repo: str) -> Path:
    import httpx2
    from huggingface_hub import HfApi, errors, snapshot_download

    try:
        folder = Path(snapshot_download(repo, allow_patterns=list(_FILES), local_files_only=True))
        if any(folder.glob("*.safetensors")):
            return folder
    except errors.LocalEntryNotFoundError:
        pass
    try:
        HfApi().model_info(repo, timeout=_HUB_TIMEOUT_S)  # the download itself would try again for minutes
        return Path(snapshot_download(repo, allow_patterns=list(_FILES), etag_timeout=_HUB_TIMEOUT_S))
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, httpx2.TransportError, OSError) as error:
        raise ModelUnavailable(
            f"{repo} is not in the hub's cache here, and the hub does not give it out ({_first_line(error)}).",
            hint="Check the id; set HF_ENDPOINT to a mirror, HF_TOKEN for a gated model; or name a folder. "
            "`extractive` answers without any model.",
        ) from None


def _with_schema(prompt: Prompt) -> tuple[str | Picture, ...]:
    """The parts; a JSON schema is told in words, since transformers can't hold a model to one."""
    if prompt.schema is None:
        return prompt.parts
    return (*prompt.parts, in_words(prompt.schema))


def _opened(picture: Picture) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(picture.data)).convert("RGB")


def _blank_page() -> Picture:
    from PIL import Image

    width, file = round(LONG_EDGE / 2**0.5), io.BytesIO()
    Image.new("RGB", (width, LONG_EDGE), "white").save(file, "PNG")
    return Picture(file.getvalue(), "image/png", width, LONG_EDGE)


def _image_token(processor: Any) -> list[str]:
    token = getattr(processor, "image_token", None)
    return [str(token)] if token else []


def _template_error() -> type[Exception]:
    from jinja2 import TemplateError

    error: type[Exception] = TemplateError
    return error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0][:300]
