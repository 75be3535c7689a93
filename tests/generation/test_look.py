"""Presets for images."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from folioscope.domain import Finish
from folioscope.errors import ModelError, QueryError
from generation.look import PRESETS, PresetName, look
from tests.support.readers import Told, pictures_of, text_of

IMAGE = np.full((40, 60, 3), 90, np.uint8)
CHART = {
    "title": "Sales", "kind": "bar", "x_axis": "year", "y_axis": "sales", "unit": "crowns", "message": "They grow.",
    "series": [{"name": "sales", "points": [{"x": "2024", "y": 35.0, "estimated": True}]}],
}  # fmt: skip
SCREEN = {
    "application": "editor", "purpose": "to write", "messages": [],
    "elements": [{"kind": "button", "label": "Save", "state": "disabled", "place": "top right"}],
}  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_asks_its_question_about_the_images(name: str) -> None:
    reply = {"chart": CHART, "ui": SCREEN}.get(name, "  A grey image. ")
    model = Told(lambda _: reply)
    found = look(model, name, [IMAGE] * (2 if PRESETS[name].together else 1))
    (prompt,) = model.asked
    assert PRESETS[name].asks in text_of(prompt)
    assert pictures_of(prompt.parts) == 1 + PRESETS[name].together
    assert ("Image 2" in text_of(prompt)) == PRESETS[name].together
    assert (found.preset, found.version, found.model) == (name, PRESETS[name].version, "told")
    assert (found.data or found.text) == (reply if isinstance(reply, dict) else "A grey image.")
    assert (prompt.schema is not None) == isinstance(reply, dict)
    assert found.usage == {"input_tokens": 9, "output_tokens": 3}


def test_the_names_are_those_of_the_presets() -> None:
    assert set(get_args(PresetName)) == set(PRESETS)


def test_json_that_is_no_chart_is_asked_for_again() -> None:
    model = Told(lambda prompt: CHART if "You replied" in text_of(prompt) else {"title": "Sales"})
    assert look(model, "chart", [IMAGE]).data == CHART
    assert "/kind: Field required" in text_of(model.asked[1])
    with pytest.raises(ModelError, match="replied twice"):
        look(Told(lambda _: "no"), "chart", [IMAGE])


@pytest.mark.parametrize(("name", "count"), [("compare", 1), ("differences", 1), ("describe", 0), ("compare", 5)])
def test_too_few_and_too_many_images(name: PresetName, count: int) -> None:
    model = Told(lambda _: "x", pictures=4)
    with pytest.raises(QueryError, match=rf"{count} images? for '{name}'"):
        look(model, name, [IMAGE] * count)
    assert model.asked == []


def test_a_reply_that_was_cut_is_kept_and_said() -> None:
    found = look(Told(lambda _: Finish("length", {"output_tokens": 37})), "describe", [IMAGE])
    assert found.text
    assert found.warnings == ("The reply was cut after 37 tokens.",)
    with pytest.raises(ModelError, match="declined"):
        look(Told(lambda _: Finish("refusal")), "describe", [IMAGE])
