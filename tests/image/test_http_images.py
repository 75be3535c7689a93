"""Searching by image over HTTP, similarity maps, pages that look alike: a real server, tiny real models."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("transformers", reason="needs the extra folioscope[vision]")

from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, shapes: Any) -> Path:
    """Three photos, one of them twice, in another size."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, number, size in [("red", 0, 256), ("again", 0, 300), ("green", 16, 256), ("blue", 32, 256)]:
        Image.fromarray(shapes[number][1]).resize((size, size)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, pictures: Path, transformers_folder: Path
) -> Iterator[httpx2.Client]:
    """They and a letter, in a collection with an image and a visual channel; another has neither."""
    import pymupdf

    from benchmarks.tiny_models import build

    folder = tmp_path_factory.mktemp("data")
    with pymupdf.open() as pdf:
        pdf.new_page().insert_text((40, 60), "A letter from the harbour.", fontsize=20)
        pdf.save(folder / "letter.pdf")
    settings = load_settings(
        {
            "data_dir": folder,
            "channels": "lexical,visual,image",
            "visual_model": f"colpali:{build('colmodernvbert', folder / 'tiny')}",
            "image_model": f"clip:{transformers_folder}",
            "model": "extractive",
            "ocr": "off",
        }
    )
    with Library(settings=settings) as library, serving(library) as found:
        assert found.post("/v1/collections", json={"name": "default"}).is_success
        assert found.post("/v1/collections", json={"name": "words", "channels": ["lexical"]}).is_success
        for path in [*sorted(pictures.glob("*.png")), folder / "letter.pdf"]:
            finished(found, upload(found, path).json()["job"])
        yield found


def names(answer: httpx2.Response) -> list[str]:
    assert answer.is_success, answer.text
    return [hit["document"]["filename"] for hit in answer.json()["hits"]]


def test_pages_that_look_like_an_uploaded_image_are_found(client, pictures) -> None:
    image = (pictures / "red.png").read_bytes()
    found = client.post(
        "/v1/search/image", files={"image": image}, data={"search": '{"top_k": 2, "channels": ["image"]}'}
    )
    assert sorted(names(found)) == ["again.png", "red.png"]
    url = "data:image/png;base64," + base64.b64encode(image).decode()
    same = client.post("/v1/search", json={"image": url, "top_k": 2, "channels": ["image"]})
    assert names(same) == names(found)
    with_words = client.post("/v1/search", json={"image": url, "query": "letter", "top_k": 5})
    assert {"letter.pdf", "red.png"} <= set(names(with_words))
    assert names(client.post("/v1/search/image", files={"image": image})) != []


@pytest.mark.parametrize(
    ("path", "sent", "status", "code"),
    [
        ("/v1/search", {"json": {}}, 422, "query_invalid"),
        ("/v1/search", {"json": {"image": "data:;base64,!"}}, 422, "query_invalid"),
        ("/v1/search", {"json": {"image": "data:image/png;base64,aGk="}}, 422, "query_invalid"),
        ("/v1/search", {"json": {"image": "https://elsewhere.example/a.png"}}, 422, "request_invalid"),
        ("/v1/search/image", {"data": {"search": "{}"}}, 422, "query_invalid"),
        ("/v1/search/image", {"files": {"image": b"words"}}, 422, "query_invalid"),
        ("/v1/search/image", {"files": {"image": b"x"}, "data": {"search": '{"k": 1}'}}, 422, "request_invalid"),
        ("/v1/search/image", {"files": {"image": bytes(20 << 20 | 1)}}, 413, "payload_too_large"),
    ],
)
def test_what_is_no_image_is_refused(client, path, sent, status, code) -> None:
    answer = client.post(path, **sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "/tmp" not in answer.text


def test_an_image_of_too_many_pixels_is_refused_before_it_is_drawn(client) -> None:
    huge = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(huge, "PNG")
    answer = client.post("/v1/search/image", files={"image": huge.getvalue()})
    assert (answer.status_code, answer.json()["code"]) == (422, "query_invalid")
    assert "pixels" in answer.json()["detail"]


@pytest.fixture(scope="module")
def letter(client: httpx2.Client) -> str:
    """The place of the letter's page."""
    (found,) = client.get("/v1/documents", params={"q": "LETTER"}).json()["data"]
    return f"/v1/documents/{found['id']}/pages/1"


def test_a_similarity_map_is_a_grid_with_regions(client, letter) -> None:
    answer = client.get(f"{letter}/similarity", params={"query": "harbour letter"})
    found = answer.json()
    assert (found["kind"], found["channel"], found["page"]) == ("similarity", "visual", 1)
    heat = np.array(found["heat"])
    assert heat.shape == (found["rows"], found["cols"])
    assert (heat.min(), heat.max()) == (0, 1)
    assert -1 <= found["low"] < found["high"] <= 1.01
    assert "letter" in "".join(token["text"] for token in found["tokens"] if token["asked"])
    assert {region["kind"] for region in found["regions"]} == {"similarity"}
    one = client.get(f"{letter}/similarity", params={"query": "harbour letter", "word": "letter"}).json()
    assert one["heat"] != found["heat"]
    kept = client.get(str(answer.url), headers={"if-none-match": answer.headers["etag"]})
    assert (kept.status_code, kept.content) == (304, b"")


def test_a_similarity_map_painted_on_its_page(client, letter) -> None:
    place = f"{letter}/similarity"
    answer = client.get(place, params={"query": "letter", "format": "png", "width": 300})
    assert answer.headers["content-type"] == "image/png"
    page = np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)
    assert abs(page.shape[1] - 300) <= 1
    assert np.ptp(page, axis=2).max() > 60  # coloured somewhere


def test_where_there_is_no_map_it_says_why(client, letter, make_pdf) -> None:
    for asked, code in [({"query": "letter", "word": "zebra"}, "query_invalid"), ({"query": " "}, "query_invalid")]:
        answer = client.get(f"{letter}/similarity", params=asked)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert client.get(f"{letter[:-1]}2/similarity", params={"query": "letter"}).status_code == 404
    plain = upload(client, make_pdf("plain.pdf", ["Words alone."]), "words").json()
    finished(client, plain["job"])
    blind = client.get(f"/v1/documents/{plain['document']['id']}/pages/1/similarity", params={"query": "words"})
    assert (blind.status_code, blind.json()["code"]) == (422, "query_invalid")


def test_hits_with_regions_of_similarity_where_asked_for(client) -> None:
    def kinds(**more: Any) -> set[str]:
        asked = {"query": "letter", "channels": ["lexical", "visual"], "top_k": 1, **more}
        (hit,) = client.post("/v1/search", json=asked).json()["hits"]
        return {region["kind"] for region in hit["regions"]}

    assert kinds() == {"text_match"}
    assert kinds(similarity=True) == {"text_match", "similarity"}


def test_pages_that_look_alike(client) -> None:
    found = client.get("/v1/collections/default/duplicates", params={"threshold": 0.99}).json()
    (group,) = [each for each in found["groups"] if "red.png" in {page["filename"] for page in each["pages"]}]
    assert {"red.png", "again.png"} <= {page["filename"] for page in group["pages"]}
    assert found["compared"] == found["pages"] == 5
    none = client.get("/v1/collections/words/duplicates")
    assert (none.status_code, none.json()["code"]) == (422, "query_invalid")
