"""What who runs the server does over HTTP: keys, channels, status, settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api.configuration import described
from api.keys import Keys
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = {
        "data_dir": tmp_path_factory.mktemp("data"),
        "channels": "lexical",
        "model": "extractive",
        "visual_model": f"colpali:{tmp_path_factory.mktemp('gone')}",
        "qdrant_api_key": "hush-hush",
    }
    with Library(settings=load_settings(settings)) as opened:
        opened.create_collection()
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library, needs_key=True) as found:
        found.headers["x-api-key"] = Keys(library.catalog.database).create("owner", "admin")[1]
        yield found


def limited(client: httpx2.Client) -> dict[str, str]:
    """Headers of an admin of one collection."""
    made = client.post("/v1/keys", json={"name": "tenant", "scope": "admin", "collections": ["default"]}).json()
    return {"x-api-key": made["key"]}


def test_a_key_is_made_shown_once_listed_and_revoked(client, library) -> None:
    answer = client.post("/v1/keys", json={"name": "ci", "scope": "write", "collections": ["default"], "days": 1.5})
    assert answer.status_code == 201
    made = answer.json()
    assert made["collections"] == [library.collection().id]
    headers = {"x-api-key": made["key"]}
    assert client.get("/v1/documents", headers=headers).status_code == 200
    (listed,) = [each for each in client.get("/v1/keys").json()["data"] if each["id"] == made["id"]]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in client.get("/v1/keys").text
    assert client.delete(answer.headers["location"]).status_code == 204
    assert client.get("/v1/documents", headers=headers).status_code == 401
    assert client.delete("/v1/keys/key_0").status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "a\0b"}, {"scope": "root"}, {"days": -1}, {"collections": []}]
)
def test_no_key_is_made_of_nonsense(client, wrong) -> None:
    assert client.post("/v1/keys", json={"name": "x", **wrong}).status_code == 422
    assert client.post("/v1/keys", json={"name": "x", "collections": ["nowhere"]}).status_code == 404


def test_who_may_see_some_collections_makes_no_key_for_all(client) -> None:
    headers = limited(client)
    for method, path in [("GET", "/v1/keys"), ("POST", "/v1/keys"), ("GET", "/v1/status"), ("GET", "/v1/settings")]:
        sent = {"json": {"name": "x"}} if method == "POST" else {}
        assert client.request(method, path, headers=headers, **sent).json()["code"] == "forbidden"
    assert client.patch("/v1/collections/default", json={"name": "x"}, headers=headers).json()["code"] == "forbidden"


def test_channels_join_fill_and_leave(client, make_pdf) -> None:
    finished(
        client,
        upload(client, make_pdf("a.pdf", ["The tide tables hang in the harbour.", "Bread rises."])).json()["job"],
    )
    made = client.post("/v1/collections/default/channels", json={"name": "semantic"})
    assert made.status_code == 201, made.text
    assert (made.json()["key"], made.json()["active"], made.json()["usable"]) == ("semantic", True, True)

    def semantic() -> dict[str, Any]:
        rows = client.get("/v1/collections/default/channels").json()["data"]
        return dict(next(row for row in rows if row["name"] == "semantic"))

    filled = client.post("/v1/collections/default/channels/semantic/backfill")
    assert filled.status_code == 202
    client.app.state.service.library.backfill()  # returns when it has every page
    assert semantic()["coverage"] == {"done": 2, "total": 2}
    assert semantic()["fingerprint"]["dim"] == 384
    again = client.post("/v1/collections/default/channels", json={"name": "semantic"})
    assert (again.status_code, again.json()["code"]) == (409, "channel_refused")
    assert "already" in again.json()["detail"]
    assert client.delete("/v1/collections/default/channels/semantic").status_code == 204
    last = client.delete("/v1/collections/default/channels/lexical")
    assert (last.status_code, last.json()["code"]) == (409, "channel_refused")
    assert client.delete("/v1/collections/default/channels/visual").status_code == 404


def test_a_channel_that_can_not_be_used_says_why_to_who_runs_the_server(client, library) -> None:
    headers = limited(client)
    for asked, told in [({}, True), (headers, False)]:
        refused = client.post("/v1/collections/default/channels", json={"name": "visual"}, headers=asked)
        assert (refused.status_code, refused.json()["code"]) == (409, "channel_refused")
        assert (library.settings.visual_model.partition(":")[2] in refused.json()["detail"]) is told
    named = {"name": "image", "encoder": "clip:/etc"}
    assert client.post("/v1/collections/default/channels", json=named, headers=headers).json()["code"] == "forbidden"
    row = client.get("/v1/collections/default/channels", headers=headers).json()["data"][0]
    assert (row["encoder"], row["fingerprint"], row["problem"]) == (None, None, None)
    assert row["usable"] is True


def test_the_status_names_what_answers_and_what_is_outstanding(client, library) -> None:
    found = client.get("/v1/status").json()
    assert found["model"] == {"id": "extractive", "reason": "as set"}
    assert found["backlog"] == {"documents": 0, "channels": 0}
    assert (found["database"], found["vectors"], found["files"]) == ("sqlite", "qdrant", "folder")
    assert found["channels"]["lexical"]["total"] >= 0
    assert found["disk_free"] > 0
    assert str(library.folder.path) not in json.dumps(found)


def test_settings_with_their_origin_and_without_secrets(client, library, monkeypatch) -> None:
    monkeypatch.setenv("FOLIOSCOPE_OCR_LANGUAGES", "eng")
    answer = client.get("/v1/settings")
    rows = {row["name"]: row for row in answer.json()["data"]}
    assert set(rows) == set(type(library.settings).model_fields)
    assert (rows["model"]["value"], rows["model"]["origin"]) == ("extractive", "flag")
    assert (rows["top_k"]["value"], rows["top_k"]["origin"]) == (5, "default")
    assert rows["ocr_languages"]["origin"] == "environment"
    assert "hush-hush" not in answer.text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:s3cr:e@t/x@host/db", "postgresql+psycopg://me:***@host/db"),
        ("postgresql://host/db?user=me&password=s3cr", "postgresql://host/db?user=me&password=***"),
        ("sqlite:////data/catalog.sqlite", "sqlite:////data/catalog.sqlite"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
    ],
)
def test_passwords_in_urls_are_not_shown(url, shown) -> None:
    (row,) = [each for each in described(load_settings({"database_url": url})) if each["name"] == "database_url"]
    assert row["value"] == shown
