"""A server whose answering model is a vendor's, and what that model says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pymupdf
import pytest

from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload
from tests.support.vendors import MODELS, Vendors

MODEL = f"openai:{MODELS[1]}"
REWRITING = "Write the question so that"


@contextmanager
def reading_server(vendors: Vendors, folder: Path, **options: Any) -> Iterator[tuple[Library, httpx2.Client]]:
    """The library and a client of its server; ``options`` are those of `create_app`."""
    settings = load_settings(
        {
            "data_dir": folder,
            "channels": "lexical",
            "model": MODEL,
            "model_retries": 0,
            "openai_url": vendors.url("openai"),
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", vendors.key)
        with Library(settings=settings) as library, serving(library, **options) as client:
            yield library, client


def drafted(*segments: tuple[str, int, str]) -> str:
    """The reply of a model: (text, page, quote) of each segment."""
    listed = [
        {"text": text, "quotes": [{"page": page, "quote": quote, "figure": False}]} for text, page, quote in segments
    ]
    return json.dumps({"segments": listed})


def taken_in(client: httpx2.Client, folder: Path, name: str, *pages: str, **where: Any) -> str:
    """A document of these pages, handed in and read; its id."""
    path = folder / name
    with pymupdf.open() as pdf:
        for text in pages:
            pdf.new_page(width=420, height=595).insert_text((40, 60), text)
        pdf.save(path)
    made = upload(client, path, **where).json()
    finished(client, made["job"])
    return str(made["document"]["id"])
