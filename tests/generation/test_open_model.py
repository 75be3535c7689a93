"""Which model is opened, why, and what is said where it can't be."""

from __future__ import annotations

import sys
import time
from email.utils import formatdate

import pytest

from folioscope.errors import ConfigError, ModelUnavailable
from folioscope.settings import Settings, load_settings
from generation.models import KNOWN, VENDORS, choose, open_model, open_vision_model
from generation.models.calling import retry_after
from generation.models.ollama import url
from generation.models.openai import enforceable
from retrieval import analyzer

KEYS = [name for vendor in VENDORS.values() for name in vendor.keys]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys of whoever runs this, and all packages as if they were installed."""
    for name in (*KEYS, "OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("generation.models._installed", lambda _package: True)


def test_auto_without_a_key_is_extractive_and_says_why() -> None:
    choice = choose(Settings())
    assert choice.spec == "extractive"
    assert "ANTHROPIC_API_KEY is not set" in choice.reason
    assert "OPENAI_API_KEY is not set" in choice.reason
    assert open_model("auto", Settings(), analyzer=analyzer()).name == "extractive"


def test_auto_takes_the_first_that_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "k")
    assert choose(Settings()).spec == "gemini:gemini-3.8-flash"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    choice = choose(Settings())
    assert choice.spec.startswith("openai:")
    assert "ANTHROPIC_API_KEY is not set" in choice.reason
    monkeypatch.setenv("ANTHROPIC_API_KEY", " ")
    assert choose(Settings()).spec.startswith("openai:")


def test_auto_chooses_from_what_is_set() -> None:
    settings = load_settings({"auto_models": "gemini:g, ollama:qwen3-vl:8b"})
    assert choose(settings).spec == "ollama:qwen3-vl:8b"
    assert choose(Settings(auto_models=())).spec == "extractive"
    with pytest.raises(ModelUnavailable, match="known are: auto, extractive, anthropic:<model>"):
        choose(Settings(auto_models=("clippy:2",)))


def test_auto_passes_over_a_key_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setattr("generation.models._installed", lambda package: package != "anthropic")
    choice = choose(Settings())
    assert choice.spec == "extractive"
    assert "anthropic: not installed, pip install 'folioscope[anthropic]'" in choice.reason


@pytest.mark.parametrize("spec", ["gpt-99", "mistral:large", "", ":", "AUTO"])
def test_an_unknown_vendor_lists_the_known(spec: str) -> None:
    for opened in (open_vision_model, lambda spec, settings: open_model(spec, settings, analyzer=analyzer())):
        with pytest.raises(ModelUnavailable) as caught:
            opened(spec, Settings())
        assert all(known in str(caught.value) for known in KNOWN)
        assert "Without a key" in caught.value.hint


def test_a_vendor_alone_is_no_model() -> None:
    with pytest.raises(ModelUnavailable, match="names no model") as caught:
        open_vision_model("gemini:", Settings())
    assert "gemini:<model>" in caught.value.hint


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "gemini"])
def test_without_a_key_its_variable_the_extra_and_a_way_without_are_named(vendor: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        open_vision_model(f"{vendor}:some-model", Settings())
    assert VENDORS[vendor].keys[0] in str(caught.value)
    assert f"folioscope[{vendor}]" in caught.value.hint
    assert "ollama:<model>" in caught.value.hint
    assert "extractive" in caught.value.hint


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "gemini"])
def test_without_the_package_the_extra_is_named(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VENDORS[vendor].keys[0], "k")
    monkeypatch.setitem(sys.modules, VENDORS[vendor].package, None)
    with pytest.raises(ModelUnavailable) as caught:
        open_vision_model(f"{vendor}:some-model", Settings())
    assert f"pip install 'folioscope[{vendor}]'" in caught.value.hint


@pytest.mark.parametrize(("spec", "why"), [("auto", "none is configured"), ("extractive", "reads words alone")])
def test_what_needs_a_model_that_sees_says_what_to_set(spec: str, why: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"needs a vision-language model.*{why}") as caught:
        open_vision_model(spec, Settings())
    assert "ANTHROPIC_API_KEY" in caught.value.hint


def test_where_ollama_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert url(Settings()) == "http://127.0.0.1:11434"
    for host, expected in {
        "0.0.0.0": "http://127.0.0.1:11434",
        "box:8080": "http://box:8080",
        "box": "http://box:11434",
        "https://models.example/": "https://models.example",
    }.items():
        monkeypatch.setenv("OLLAMA_HOST", host)
        assert url(Settings()) == expected
    assert url(Settings(ollama_url="http://here:1")) == "http://here:1"


def test_limits_are_checked() -> None:
    with pytest.raises(ConfigError, match="model_timeout_s"):
        load_settings({"model_timeout_s": 0})


def test_what_a_server_asks_to_wait() -> None:
    assert retry_after({}) is None
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert retry_after({"retry-after": "soon"}) is None
    dated = retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert dated is not None
    assert 50 < dated <= 60
    assert retry_after({"retry-after": formatdate(0, usegmt=True)}) == 0


def test_which_schemas_openai_enforces() -> None:
    closed = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    assert enforceable(closed)
    assert enforceable({"type": "array", "items": closed})
    assert not enforceable({**closed, "required": []})
    assert not enforceable({**closed, "additionalProperties": True})
    assert not enforceable({**closed, "properties": {"a": {"anyOf": [{"type": "object"}]}}})
