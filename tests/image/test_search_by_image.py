"""`folioscope search` with an image and with a similarity map, through tiny real models."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("transformers", reason="needs the extra folioscope[vision]")


def found(done):
    return [hit["document"]["filename"] for hit in json.loads(done.stdout)["hits"]]


@pytest.mark.slow
def test_pages_that_look_like_an_image_are_found(run, photos, transformers_folder, tmp_path):
    run("ingest", photos)
    refused = run("search", "--image", photos / "red-circle.png", code=2)
    assert "lexical" in refused.stderr
    assert "channels add image" in refused.stderr
    run("channels", "add", "image", "--encoder", f"clip:{transformers_folder}", "--wait")
    done = run("search", "--image", photos / "red-circle.png", "-k", "2", "--json")
    assert found(done) == ["red-circle.png", "again.jpg"]
    assert "lexical" in json.loads(done.stdout)["notes"][0]
    (tmp_path / "poem.txt").write_text("no image")
    assert "poem.txt can't be searched with" in run("search", "--image", tmp_path / "poem.txt", code=2).stderr
    assert "no file" in run("search", "--image", tmp_path / "nowhere.png", code=3).stderr


@pytest.mark.slow
def test_heat_shows_where_the_visual_channel_saw_the_question(run, make_pdf, tmp_path):
    from benchmarks.tiny_models import build

    run("ingest", make_pdf("letter.pdf", ["A letter from the harbour."]))
    page = tmp_path / "page.png"
    assert "channels add visual" in run("search", "letter", "--heat", "--save-image", page, code=2).stderr
    assert not page.exists()
    spec = f"colpali:{build('colmodernvbert', tmp_path / 'tiny')}"
    run("channels", "add", "visual", "--encoder", spec, "--wait")
    done = run("search", "the letter", "--heat", "--word", "letter", "--save-image", page, "--json")
    (hit,) = json.loads(done.stdout)["hits"]
    assert {region["kind"] for region in hit["regions"]} == {"text_match", "similarity"}
    assert np.ptp(np.asarray(Image.open(page)).astype(int), axis=2).max() > 60  # coloured somewhere
    assert "no 'zebra'" in run("search", "letter", "--heat", "--word", "zebra", "--save-image", page, code=2).stderr
    run("search", "letter", "--heat", code=2)
    run("search", "letter", "--word", "letter", code=2)
    run("search", code=2)
