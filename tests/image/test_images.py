"""Near duplicates and labels, as functions and as commands."""

import json

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from api.duplicates import duplicate_pages
from folioscope.domain import PageInput, PageKey
from ingest import Library
from retrieval import Channel, EdgeIndex
from retrieval.encoders.clip import ClipEncoder
from retrieval.images import label_images, near_duplicates


def slowly(vectors, threshold):
    """Groups by following links one at a time."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    linked = unit @ unit.T >= threshold
    left, groups = set(range(len(vectors))), []
    while left:
        group, fresh = set(), {left.pop()}
        while fresh:
            group |= fresh
            fresh = {other for one in fresh for other in np.flatnonzero(linked[one]).tolist()} - group
        left -= group
        if len(group) > 1:
            groups.append(tuple(sorted(group)))
    return groups


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_groups_are_what_links_lead_to(threshold, monkeypatch):
    monkeypatch.setattr("retrieval.images.BLOCK", 7)
    rng = np.random.default_rng(0)
    for count in (2, 20, 60):
        vectors = rng.standard_normal((count, 4)).astype(np.float32) * rng.uniform(0.1, 9, (count, 1)).astype(
            np.float32
        )
        found = near_duplicates(vectors, threshold)
        assert sorted(group.members for group in found) == sorted(slowly(vectors, threshold))
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for group in found:
            assert {row for one, two, _ in group.pairs for row in (one, two)} == set(group.members)
            assert [score for *_, score in group.pairs] == sorted((score for *_, score in group.pairs), reverse=True)
            for one, two, score in group.pairs:
                assert score == pytest.approx(float(unit[one] @ unit[two]), abs=1e-5)
                assert score >= threshold - 1e-5


def test_copies_are_found_at_a_threshold_of_1_and_nothing_else():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 64)).astype(np.float32)
    vectors[200] = vectors[3] * 7
    vectors[299] = vectors[3]
    vectors[50] = vectors[51] = 0  # no direction, so like nothing
    (group,) = near_duplicates(vectors, 1.0)
    assert group.members == (3, 200, 299)
    assert all(score == pytest.approx(1) for *_, score in group.pairs)


def test_nothing_to_compare_and_nonsense():
    assert near_duplicates(np.zeros((0, 8), np.float32), 0.9) == []
    assert near_duplicates(np.ones((1, 8), np.float32), 0.9) == []
    for threshold in (0, -1, 1.01, float("nan")):
        with pytest.raises(ValueError, match="threshold"):
            near_duplicates(np.ones((2, 8), np.float32), threshold)


@pytest.fixture(params=["open_clip", "transformers"])
def encoder(request) -> ClipEncoder:
    return ClipEncoder(str(request.getfixturevalue(f"{request.param}_folder")))


def perturbed(image: np.ndarray, rng) -> list[np.ndarray]:
    """The image scaled, darkened and blurred a little, through JPEG."""
    picture = Image.fromarray(image)
    return [
        np.asarray(picture.resize((90, 90), Image.Resampling.BICUBIC)),
        np.asarray(ImageEnhance.Brightness(picture).enhance(0.97)),
        np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6))),
        np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8),
    ]


def test_perturbed_images_are_near_duplicates(encoder, shapes):
    """Two different photos of a class are alike, too, to a model that knows classes: one photo of each here."""
    rng = np.random.default_rng(1)
    images = [each for _, image in shapes[::4] for each in [image, *perturbed(image, rng)]]
    found = near_duplicates(encoder.encode_images(images), 0.97)
    assert sorted(group.members for group in found) == [tuple(range(n, n + 5)) for n in range(0, len(images), 5)]


def test_labels_are_right(encoder, shapes):
    labels = [f"{colour} {shape}" for colour in ("red", "green", "blue") for shape in ("circle", "square", "triangle")]
    shares = label_images(encoder, [image for _, image in shapes], labels, "a {}")
    assert shares.shape == (len(shapes), len(labels))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    right = [labels[best] == " ".join(kind) for best, (kind, _) in zip(shares.argmax(axis=1), shapes, strict=True)]
    assert np.mean(right) >= 0.85  # by chance: 0.11
    with pytest.raises(ValueError, match="template"):
        label_images(encoder, [shapes[0][1]], labels, "a photo")


def test_shares_are_the_models_own_probabilities(transformers_folder, shapes):
    """What transformers' own zero-shot call gives for the same inputs."""
    import torch
    import transformers

    model = transformers.CLIPModel.from_pretrained(transformers_folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(transformers_folder)
    processor = transformers.CLIPImageProcessorPil.from_pretrained(transformers_folder)
    images = [image for _, image in shapes[:6]]
    texts = ["a red circle", "a blue circle", "a green square"]
    given = tokenizer(texts, padding=True, return_tensors="pt")
    given = {name: given[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        logits = model(**given, **processor(images=images, return_tensors="pt")).logits_per_image
    ours = label_images(ClipEncoder(str(transformers_folder)), images, texts)
    np.testing.assert_allclose(ours, logits.softmax(1).numpy(), atol=1e-4)


LABELS = [part for name in ("red circle", "green square", "blue triangle") for part in ("--label", name)]


@pytest.mark.slow
def test_label_command(run, photos, open_clip_folder, make_pdf):
    model = ["--model", f"clip:{open_clip_folder}", "--template", "a {}"]
    done = run("label", *sorted(photos.iterdir()), *LABELS, *model, "--json")
    rows = {row["filename"]: row for row in json.loads(done.stdout)}
    for name in ("red-circle", "green-square", "blue-triangle"):
        assert rows[f"{name}.png"]["label"] == name.replace("-", " ")
    assert rows["again.jpg"]["label"] == "red circle"
    assert sum(rows["again.jpg"]["labels"].values()) == pytest.approx(1, abs=1e-3)

    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no image")
    pdf = make_pdf("two.pdf", ["one", "two"])
    done = run("label", pdf, photos / "broken.png", *LABELS, *model, code=4)
    assert [line.split("\t")[:2] for line in done.stdout.splitlines()[1:]] == [["two.pdf", "1"], ["two.pdf", "2"]]
    assert "broken.png: " in done.stderr


def test_label_command_on_bad_input(run, photos, open_clip_folder):
    picture = photos / "red-circle.png"
    model = ["--model", f"clip:{open_clip_folder}"]
    assert "at least twice" in run("label", picture, "--label", "cat", *model, code=2).stderr
    assert "template" in run("label", picture, *LABELS, "--template", "photo", *model, code=2).stderr
    assert "no model for images" in run("label", picture, *LABELS, "--model", "lexical", code=2).stderr
    assert "nowhere.png" in run("label", "nowhere.png", *LABELS, *model, code=3).stderr
    unreachable = run("label", picture, *LABELS, code=5).stderr
    assert "models--laion--CLIP-ViT-B-32" in unreachable
    assert "HF_ENDPOINT" in unreachable


def test_duplicates_of_a_collection(tmp_path, photos, transformers_folder, make_pdf):
    encoder = ClipEncoder(str(transformers_folder))
    with Library(tmp_path / "data") as library:
        library.create_collection(channels=["lexical"])
        library.ingest([photos, make_pdf("text.pdf", ["A page.", "Another page."])])
        documents = library.documents()
        channel = Channel("image", encoder, EdgeIndex(tmp_path / "image", encoder.fingerprint))
        assert duplicate_pages(channel.index, documents, 0.9) == ([], 0)
        for document in documents:
            keys = [PageKey(document.id, document.version, number) for number in range(1, document.pages + 1)]
            pages = [
                PageInput(
                    key,
                    document.filename,
                    library.catalog.words([key])[key],
                    lambda edge, key=key: library.image(key, edge),
                )
                for key in keys
            ]
            channel.add(pages[:1])
        channel.flush()
        groups, compared = duplicate_pages(channel.index, documents, 0.97)
        assert compared == len(documents)  # the second page of the PDF has no vector
        (group,) = groups
        assert {page["filename"] for page in group["pages"]} == {"red-circle.png", "again.jpg"}
        (pair,) = group["pairs"]
        assert pair["cosine"] > 0.97
        channel.close()


def test_duplicates_without_an_image_channel_says_how_to_get_one(run, photos):
    run("ingest", photos)
    done = run("docs", "duplicates", code=3)
    assert "no image channel" in done.stderr
    assert "channels add image" in done.stderr
    run("docs", "duplicates", "--threshold", "2", code=2)
