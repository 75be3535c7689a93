"""Fields out of documents: checked against the schema, each with its quote, from batches of a long document."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from folioscope.domain import Finish, Prompt
from folioscope.errors import ConfigError, Corrupt, ModelError, PromptTooLong, QueryError, ReplyCut
from folioscope.settings import Settings
from generation import open_vision_model
from generation.extract import Merged, extract, leaves
from generation.reading import PROMPTS_AT_ONCE, Reading
from generation.schemas import bounded, validator
from tests.support.readers import Told, document, pages_of, pictures_of, text_of
from tests.support.vendors import KEY, Vendors

pytest.importorskip("jsonschema", reason="needs the extra folioscope[extract]")

SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "string"},
        "total": {"type": "number"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
    "required": ["number", "total"],
    "additionalProperties": False,
}
INVOICE = ("Invoice 4711 of Kiln & Sons", "Total due 1,577.50 euros\nwithin thirty days of receipt")


def carried(field: str, page: int, quote: str) -> dict[str, Any]:
    return {"field": field, "page": page, "quote": quote}


GOOD = {
    "data": {"number": "4711", "total": 1577.5},
    "evidence": [carried("/number", 1, "Invoice 4711"), carried("/total", 2, "Total due 1,577.50 euros")],
}


def test_each_field_with_its_quote_on_its_page() -> None:
    model = Told(lambda _: GOOD)
    found = extract(model, document(*INVOICE), SCHEMA)
    assert found.data == GOOD["data"]
    assert (found.problems, found.unsupported, found.warnings) == ((), (), ())
    number, total = (found.citations[found.fields[field] - 1] for field in ("/number", "/total"))
    assert (number.page, number.quote, number.quote_status) == (1, "Invoice 4711", "exact")
    assert (total.page, total.quote_status) == (2, "exact")
    assert total.boxes
    assert (found.model, found.usage) == ("told", {"input_tokens": 9, "output_tokens": 3})
    (prompt,) = model.asked
    assert pictures_of(prompt.parts) == 2
    assert prompt.schema is not None
    assert prompt.schema["properties"]["data"] == SCHEMA
    assert "instruct" in prompt.system
    assert "Invoice 4711 of Kiln" in text_of(prompt)


def test_a_pydantic_model_with_nested_ones_serves_as_well() -> None:
    class Item(BaseModel):
        name: str

    class Invoice(BaseModel):
        number: str
        items: list[Item]

    reply = {"data": {"number": "4711", "items": [{"name": "kiln"}]}, "evidence": [carried("/items/0/name", 1, "Kiln")]}
    model = Told(lambda _: reply)
    found = extract(model, document(*INVOICE), Invoice)
    assert Invoice.model_validate(found.data).items[0].name == "kiln"
    assert found.unsupported == ("/number",)
    schema = model.asked[0].schema
    assert schema is not None
    assert "Item" in schema["$defs"]  # where the references lead


MODELS = [
    ("anthropic", "anthropic:claude-sonnet-5-5"),
    ("openai", "openai:gpt-6.1-terra"),
    ("google.genai", "gemini:gemini-3.8-flash"),
    ("httpx2", "ollama:qwen3-vl:8b"),
]


@pytest.mark.parametrize(("package", "spec"), MODELS)
@pytest.mark.parametrize("kind", ["closed", "open"])
def test_every_vendor_takes_the_request(package: str, spec: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(package, reason="needs the extra of that vendor")
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    schema = SCHEMA if kind == "closed" else {"type": "object", "additionalProperties": {}}
    with Vendors(reply=json.dumps(GOOD)) as vendors:
        urls = {f"{vendor}_url": vendors.url(vendor) for vendor in ("anthropic", "openai", "gemini", "ollama")}
        model = open_vision_model(spec, Settings(**urls))
        found = extract(model, document(*INVOICE), schema)
        assert vendors.complaints == []
    assert (found.data, found.unsupported) == (GOOD["data"], ())
    assert len(vendors.asked[0].pictures) == 2
    assert found.usage["output_tokens"] > 0


def test_it_also_runs_where_a_loop_is_running() -> None:
    async def notebook() -> Any:
        return extract(Told(lambda _: GOOD), document(*INVOICE), SCHEMA).data

    assert asyncio.run(notebook()) == GOOD["data"]


def test_a_reply_against_the_schema_is_asked_for_once_more_with_the_error() -> None:
    bad = {"data": {"number": "4711", "total": "a lot"}, "evidence": []}
    model = Told(lambda prompt: GOOD if "You replied" in text_of(prompt) else bad)
    found = extract(model, document(*INVOICE), SCHEMA)
    assert found.data == GOOD["data"]
    assert len(model.asked) == 2
    assert "/total: 'a lot' is not of type 'number'" in text_of(model.asked[1])
    assert found.usage == {"input_tokens": 18, "output_tokens": 6}


def test_what_stays_wrong_is_kept_and_said() -> None:
    bad = {"data": {"number": "4711", "total": "a lot"}, "evidence": [carried("/number", 1, "Invoice 4711")]}
    model = Told(lambda _: bad)
    found = extract(model, document(*INVOICE), SCHEMA)
    assert found.data == bad["data"]
    assert found.problems == ("/total: 'a lot' is not of type 'number'",)
    assert len(model.asked) == 2


@pytest.mark.parametrize("reply", ["I can't.", "", "[[none]]", '{"data": NaN}', '{"data": 1e999}', "{" * 5000])
def test_no_json_twice_is_an_error(reply: str) -> None:
    with pytest.raises(ModelError, match="replied twice"):
        extract(Told(lambda _: reply), document(*INVOICE), SCHEMA)


@pytest.mark.parametrize("wrapped", ["```json\n{}\n```", "As [1] says: {} I hope it helps.", "{} {}"])
def test_json_is_found_in_what_stands_around_it(wrapped: str) -> None:
    found = extract(Told(lambda _: wrapped.replace("{}", json.dumps(GOOD))), document(*INVOICE), SCHEMA)
    assert found.data == GOOD["data"]


def test_invented_quotes_carry_nothing() -> None:
    evidence = [
        carried("/number", 1, "Invoice 9999"),
        carried("/total", 99, "Total due"),
        carried("/ghost", 1, "Invoice 4711"),
    ]
    found = extract(Told(lambda _: {**GOOD, "evidence": evidence}), document(*INVOICE), SCHEMA)
    assert found.unsupported == ("/number", "/total")
    assert [citation.quote_status for citation in found.citations] == ["unverified"]
    assert found.citations[0].boxes == ()
    assert any("page 99 of 2" in warning for warning in found.warnings)
    assert any("/ghost" in warning for warning in found.warnings)


def test_a_quote_on_the_next_page_is_cited_there() -> None:
    evidence = [carried("/number", 2, "Invoice 4711 of Kiln"), carried("total", 2, "within thirty days")]
    found = extract(Told(lambda _: {**GOOD, "evidence": evidence}), document(*INVOICE), SCHEMA)
    moved = found.citations[found.fields["/number"] - 1]
    assert (moved.page, moved.moved, moved.quote_status) == (1, True, "exact")
    assert found.warnings == (
        "The number 1577.5 at /total does not stand in its quote: “within thirty days”.",
        "A quote from report.pdf, page 2 stands on report.pdf, page 1: cited there.",
    )


def test_a_few_letters_are_not_looked_for_on_the_next_page() -> None:
    evidence = [carried("/number", 2, "4711"), carried("/total", 2, "1,577.50")]
    found = extract(Told(lambda _: {**GOOD, "evidence": evidence}), document(*INVOICE), SCHEMA)
    assert found.unsupported == ("/number",)
    assert [(each.page, each.quote_status) for each in found.citations] == [(2, "unverified"), (2, "exact")]


@pytest.mark.parametrize(
    "field", ["/items/0/name", "items[0].name", "$.items[0].name", "/data/items/0/name", "/items/0"]
)
def test_ways_to_name_a_field(field: str) -> None:
    reply = {"data": {"items": [{"name": "Kiln"}]}, "evidence": [carried(field, 1, "Kiln")]}
    found = extract(Told(lambda _: reply), document(*INVOICE), {"type": "object", "properties": {"items": {}}})
    assert found.unsupported == ()


LONG = [f"Sheet {number}: widget number {number} costs {number} crowns." for number in range(1, 41)]


def by_page(prompt: Prompt) -> dict[str, Any]:
    pages = pages_of(text_of(prompt))
    data: dict[str, Any] = {"items": [{"name": f"widget number {page}"} for page in pages]}
    evidence = [carried(f"/items/{at}/name", page, f"widget number {page}") for at, page in enumerate(pages)]
    if 1 in pages:
        data["number"] = "one"
    if 40 in pages:
        data |= {"number": "forty", "total": 40}
        evidence.append(carried("/total", 40, "costs 40 crowns"))
    return {"data": data, "evidence": evidence}


def test_a_long_document_is_read_in_batches_and_put_together_in_order() -> None:
    drawn: list[int] = []

    def image(edge: int) -> np.ndarray:
        drawn.append(edge)
        return np.full((edge, edge, 3), 200, np.uint8)

    model = Told(by_page, pictures=7)
    found = extract(model, document(*LONG, image=image), SCHEMA)
    assert [item["name"] for item in found.data["items"]] == [f"widget number {page}" for page in range(1, 41)]
    assert len(model.asked) == 6
    assert max(pictures_of(prompt.parts) for prompt in model.asked) == 7
    assert len(drawn) == 40
    assert found.citations[found.fields["/items/39/name"] - 1].page == 40
    assert found.data["total"] == 40
    assert found.problems == ()
    assert found.unsupported == ("/number",)
    assert any("'one' was kept; later pages gave 'forty'" in warning for warning in found.warnings)
    schema = model.asked[0].schema
    assert schema is not None
    assert "required" not in schema["properties"]["data"]


def test_only_a_few_batches_are_under_way_at_a_time() -> None:
    busy = most = 0

    async def work(places: range) -> range:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return places

    reading = Reading(Told(lambda _: ""), document(*LONG))
    reading.at_once = 3
    batches = asyncio.run(reading.in_batches(work))
    assert most == PROMPTS_AT_ONCE
    assert [place for places in batches for place in places] == list(range(40))


def test_batches_that_are_too_much_are_halved_and_a_page_that_is_too_much_is_left_out() -> None:
    def reply(prompt: Prompt) -> object:
        pages = pages_of(text_of(prompt))
        if 13 in pages:
            return PromptTooLong("too long")
        if len(pages) > 3:
            return Finish("length")
        return by_page(prompt)

    found = extract(Told(reply, pictures=16), document(*LONG), SCHEMA)
    assert len(found.data["items"]) == 39
    assert any("page 13 was left out" in warning for warning in found.warnings)
    with pytest.raises(ReplyCut):
        extract(Told(lambda _: Finish("length")), document(*INVOICE), SCHEMA)


def test_errors_of_the_model_end_the_work() -> None:
    with pytest.raises(ModelError, match="declined"):
        extract(Told(lambda _: Finish("refusal")), document(*LONG), SCHEMA)
    with pytest.raises(ModelError, match="no luck"):
        extract(Told(lambda _: ModelError("no luck")), document(*LONG), SCHEMA)


def test_a_page_that_can_not_be_drawn_is_read_by_its_words() -> None:
    def broken(_: int) -> np.ndarray:
        raise Corrupt("torn")

    model = Told(lambda _: GOOD)
    found = extract(model, document(*INVOICE, image=broken), SCHEMA, page_words=False)
    assert pictures_of(model.asked[0].parts) == 0
    assert "Total due" in text_of(model.asked[0])
    assert any("torn" in warning for warning in found.warnings)


def test_words_are_left_out_when_they_are_not_wanted() -> None:
    model = Told(lambda _: GOOD)
    extract(model, document(*INVOICE), SCHEMA, page_words=False)
    assert "Total due" not in text_of(model.asked[0])


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ([], "no JSON object but list"),
        ({}, "says nothing about values"),
        ({"invoice": "4711", "total": 3}, "says nothing about values"),
        ({"type": "objekt"}, "no JSON Schema"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}}, "refers to '#/\\$defs/missing'"),
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "refers to 'http"),
    ],
)
def test_a_schema_that_is_none_is_refused_before_anything_is_sent(schema: Any, message: str) -> None:
    model = Told(lambda _: GOOD)
    with pytest.raises(ConfigError, match=message):
        extract(model, document(*INVOICE), schema)
    assert model.asked == []


def test_no_pages() -> None:
    with pytest.raises(QueryError, match="no pages"):
        extract(Told(lambda _: GOOD), [], SCHEMA)


def test_a_schema_that_no_vendor_can_enforce_is_told_in_words() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    reply = {"data": {"number": "4711"}, "evidence": [carried("/number", 1, "4711")]}
    model = Told(lambda _: reply)
    assert extract(model, document(*INVOICE), schema).data == reply["data"]
    assert model.asked[0].schema is None
    assert json.dumps(schema) in text_of(model.asked[0])


def test_recursive_schemas_lead_to_the_data() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "part": {"$ref": "#"}}}
    reply = {"data": {"name": "a", "part": {"name": 7}}, "evidence": []}
    model = Told(lambda _: reply)
    assert extract(model, document(*INVOICE), schema).problems == ("/part/name: 7 is not of type 'string'",)
    sent = model.asked[0].schema
    assert sent is not None
    assert sent["properties"]["data"]["properties"]["part"] == {"$ref": "#/properties/data"}


def test_leaves() -> None:
    found = leaves({"a": [1, {"b/c": None, "d~": "x"}], "e": False})
    assert list(found) == [("/a/0", 1), ("/a/1/d~0", "x"), ("/e", False)]
    assert list(leaves("x")) == [("", "x")]


def test_batches_put_together() -> None:
    merged = Merged()
    merged.add({"tags": ["a", "b"], "rows": [{"n": 1}], "who": {"name": "Ann"}, "none": None}, [])
    merged.add({"tags": ["b", "c"], "rows": [{"n": 1}], "who": {"name": "Bob", "age": 7}, "none": 3}, [])
    merged.add(None, [])
    assert merged.data == {
        "tags": ["a", "b", "c"], "rows": [{"n": 1}, {"n": 1}], "who": {"name": "Ann", "age": 7}, "none": 3,
    }  # fmt: skip
    assert merged.conflicts == ["/who/name: 'Ann' was kept; later pages gave 'Bob'."]


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}]}])
def test_a_schema_that_leads_nowhere_is_said_before_the_model_is_asked(schema: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="without end"):
        validator(schema)


def chain(parts: int) -> dict:
    """A schema of a few lines that is 2 ** parts when its references are followed."""
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(parts)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{parts}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "'pattern'"),
        ({"patternProperties": {"(a+)+$": {}}}, "'patternProperties'"),
        ({"properties": {"a": {"$id": "x:/y", "$ref": "#/$defs/b"}}}, "'\\$id'"),
        ({"properties": {"a": {"items": {"$ref": "#/properties/a"}}}}, "goes round"),
        ({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}, "no JSON Pointer"),
        (chain(12), "1000 parts"),
        (json.loads('{"not": ' * 60 + "{}" + "}" * 60), "nested"),
    ],
)
def test_a_strangers_schema_that_would_keep_the_checker_busy(schema, message) -> None:
    with pytest.raises(ConfigError, match=message):
        bounded(schema)


def test_what_pydantic_makes_of_nested_models_is_fine() -> None:
    class Line(BaseModel):
        pattern: str
        id: int

    class Invoice(BaseModel):
        lines: list[Line]
        first: Line | None = None

    bounded(Invoice.model_json_schema())
    bounded({"$id": "https://example.com/x", "properties": {"a": {"$ref": "#/$defs/b~1c/0"}}, "$defs": {"b/c": [{}]}})
