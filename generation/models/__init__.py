"""The answering models: one file each, imported when it is asked for.

A model is named ``vendor:model``. Vision-language models all implement `folioscope.ports.VisionModel`; `Reader` makes
an answering model of any of them. The extractive model is one by itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from dataclasses import dataclass
from typing import NamedTuple, cast

from folioscope.errors import ModelUnavailable, VisionModelNeeded
from folioscope.ports import Analyzer, AnswerModel, TextEncoder, VisionModel
from folioscope.settings import Settings

__all__ = ["KNOWN", "VENDORS", "Choice", "choose", "open_model", "open_vision_model"]

log = logging.getLogger(__name__)


class Vendor(NamedTuple):
    """A kind of model: its class, and what makes it configured, a key in one of the variables and a package."""

    name: str
    keys: tuple[str, ...] = ()
    package: str = ""


VENDORS = {
    "anthropic": Vendor("Anthropic", ("ANTHROPIC_API_KEY",), "anthropic"),
    "openai": Vendor("OpenAI", ("OPENAI_API_KEY",), "openai"),
    "gemini": Vendor("Gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "google.genai"),
    "ollama": Vendor("Ollama"),
    "transformers": Vendor("Transformers", package="transformers"),
}
"""Kinds of vision-language models; a class is called with the model's id and the settings."""

KNOWN = ["auto", "extractive", *(f"{vendor}:<model>" for vendor in VENDORS)]
"""What `open_model` opens."""


KEYLESS = (
    "Without a key: `ollama:<model>` and `transformers:<model>`, models on this machine, and for `ask` and `chat` "
    "`extractive`, which quotes the sentences that answer."
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that ``auto`` stands for, and why, for people."""

    spec: str
    reason: str


def choose(settings: Settings) -> Choice:
    """The first of ``settings.auto_models`` whose vendor has its key and its package, else ``extractive``.

    Nothing is sent anywhere. Raises `ModelUnavailable` for a model of an unknown vendor among them.
    """
    missing: list[str] = []
    for spec in settings.auto_models:
        vendor, _ = _parse(spec)
        lack = lacking(vendor)
        if not lack:
            skipped = f" ({'; '.join(missing)})" if missing else ""
            return Choice(spec, f"the first of auto_models that is configured{skipped}")
        missing.append(f"{vendor}: {lack}")
    return Choice("extractive", f"no other is configured ({'; '.join(missing)})" if missing else "auto_models is empty")


def lacking(vendor: str) -> str:
    """What the models of one of `VENDORS` need and is not there, for people; empty where they are configured."""
    needs = VENDORS[vendor]
    if needs.keys and not any(os.environ.get(name, "").strip() for name in needs.keys):
        return f"{needs.keys[0]} is not set"
    if needs.package and not _installed(needs.package):
        return f"not installed, pip install 'folioscope[{'vision' if vendor == 'transformers' else vendor}]'"
    return ""


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the parent of google.genai
        return False


def open_vision_model(spec: str, settings: Settings, *, dry: bool = False) -> VisionModel:
    """The vision-language model that ``spec`` names; ``auto`` as `choose` says.

    ``dry``: it will not be asked (see `preview`), so a vendor's key and package may be missing. Raises
    `ModelUnavailable`: an unknown vendor, no key, no package, or ``extractive``, which sees nothing.
    """
    named = spec
    if spec == "auto":
        spec = _chosen(settings)
    if spec == "extractive":
        raise VisionModelNeeded(
            "This needs a vision-language model, and none is configured."
            if named == "auto"
            else "This needs a vision-language model, and `extractive` is none: it reads words alone.",
            hint="Name one with --model, such as `ollama:<model>` on this machine, or set ANTHROPIC_API_KEY, "
            "OPENAI_API_KEY or GEMINI_API_KEY and install the extra of that name.",
        )
    vendor, model = _parse(spec)
    module = importlib.import_module(f"generation.models.{vendor}")
    opened = getattr(module, VENDORS[vendor].name)(model, settings)
    if VENDORS[vendor].keys and not dry:
        opened.check()
    return cast("VisionModel", opened)


def open_model(
    spec: str, settings: Settings, *, analyzer: Analyzer, encoder: TextEncoder | None = None, dry: bool = False
) -> AnswerModel:
    """The answering model that ``spec`` names, one of `KNOWN`; ``auto`` as `choose` says.

    The extractive model compares words through ``analyzer`` and, where given, meanings through ``encoder``; the others
    read the pages' images. ``dry`` and what is raised: see `open_vision_model`.
    """
    if spec == "auto":
        spec = _chosen(settings)
    if spec == "extractive":
        from generation.models.extractive import Extractive

        return Extractive(analyzer, encoder, settings.extractive_threshold)
    model = open_vision_model(spec, settings, dry=dry)
    from generation.reader import Reader

    return Reader(model, settings)


def _chosen(settings: Settings) -> str:
    choice = choose(settings)
    log.info("The model is %s: %s.", choice.spec, choice.reason)
    return choice.spec


def _parse(spec: str) -> tuple[str, str]:
    vendor, _, model = spec.partition(":")
    if vendor not in VENDORS:
        raise ModelUnavailable(f"There is no answering model {spec!r}; known are: {', '.join(KNOWN)}.", hint=KEYLESS)
    if not model:
        raise ModelUnavailable(f"{spec!r} names no model.", hint=f"Write {vendor}:<model>.")
    return vendor, model
