"""The image channel's encoder on tiny models trained on coloured shapes, and on every family that is known."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from folioscope.domain import PageInput, PageKey, Words
from folioscope.errors import ChannelUnavailable, ConfigError
from folioscope.ports import Encoder
from retrieval import Channel, MemoryIndex, open_encoder
from retrieval.encoders.clip import ClipEncoder

KINDS = [(colour, shape) for colour in ("red", "green", "blue") for shape in ("circle", "square", "triangle")]


@pytest.fixture(params=["open_clip", "transformers"])
def encoder(request) -> ClipEncoder:
    folder = request.getfixturevalue(f"{request.param}_folder")
    made = open_encoder(f"clip:{folder}")
    assert isinstance(made, ClipEncoder)
    assert made.checkpoint.library == request.param
    return made


def page(number: int, image) -> PageInput:
    return PageInput(PageKey("doc_a", 1, number), "photo.png", Words.empty(), lambda _long_edge: image)


def filled(encoder, shapes) -> Channel:
    channel = Channel("image", encoder, MemoryIndex(encoder.fingerprint))
    channel.add([page(number, image) for number, (_, image) in enumerate(shapes)])
    return channel


def test_a_red_circle_finds_red_circles(encoder, shapes):
    channel = filled(encoder, shapes)
    right = 0
    for colour, shape in KINDS:
        hits = channel.search(f"a {colour} {shape}", 4)
        right += sum(shapes[hit.key.number][0] == (colour, shape) for hit in hits)
    assert right / (4 * len(KINDS)) >= 0.85  # by chance: 0.11


def test_an_image_finds_images_like_it(encoder, shapes):
    channel = filled(encoder, shapes)
    right = 0
    for number, (kind, image) in enumerate(shapes):
        first, *others = channel.index.search(encoder.encode_image_query(image), 4)
        assert first.key.number == number
        assert first.score == pytest.approx(1, abs=1e-5)
        right += sum(shapes[hit.key.number][0] == kind for hit in others)
    assert right / (3 * len(shapes)) >= 0.7  # by chance: 0.09


def test_vectors_are_float32_of_length_1_whatever_the_batch(encoder, shapes):
    as_encoder: Encoder = encoder
    images = [image for _, image in shapes[:7]]
    together = encoder.encode_images(images)
    assert together.shape == (7, as_encoder.fingerprint.dim) == (7, 32)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for row, image in zip(together, images, strict=True):
        np.testing.assert_allclose(encoder.encode_images([image])[0], row, atol=2e-6)
    texts = ["a red circle", "a photo of a blue square", "green"]
    for row, text in zip(encoder.encode_texts(texts), texts, strict=True):
        np.testing.assert_allclose(encoder.encode_query(text), row, atol=2e-6)


def test_more_images_than_a_batch(encoder, shapes, monkeypatch):
    monkeypatch.setattr(encoder, "batch_size", 3, raising=False)
    images = [image for _, image in shapes[:7]]
    one_by_one = np.concatenate([encoder.encode_images([image]) for image in images])
    np.testing.assert_allclose(encoder.encode_images(images), one_by_one, atol=2e-6)
    assert encoder.encode_images([]).shape == (0, 32)
    assert encoder.encode_pages([]) == []


def test_queries_are_remembered_and_empty_ones_say_nothing(encoder):
    assert encoder.encode_query(" \n") is None
    vector = encoder.encode_query("a red circle")
    assert encoder.encode_query("a red circle") is vector
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1
    assert encoder.encode_query("red " * 500).shape == (32,)


def test_images_of_any_size_and_only_images(encoder):
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (3, 200), (500, 20), (33, 31)):
        assert np.isfinite(encoder.encode_image_query(rng.integers(0, 256, (height, width, 3), np.uint8))).all()
    for wrong in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32)):
        with pytest.raises(ValueError, match="uint8"):
            encoder.encode_image_query(wrong)


def test_a_page_without_an_image_is_not_passed_over(encoder):
    with pytest.raises(ValueError, match="without an image"):
        encoder.encode_pages([PageInput(PageKey("doc_a", 1, 3), "a.pdf", Words.empty())])


def test_pages_are_asked_for_twice_the_models_size(encoder):
    asked = []

    def image(long_edge):
        asked.append(long_edge)
        return np.zeros((64, 40, 3), np.uint8)

    encoder.encode_pages([PageInput(PageKey("doc_a", 1, 1), "a.pdf", Words.empty(), image)])
    assert asked == [64]


def test_the_fingerprint_needs_no_weights_and_follows_them(encoder, tmp_path):
    fresh = ClipEncoder(str(encoder.checkpoint.folder))
    assert fresh.fingerprint == encoder.fingerprint
    assert "model" not in vars(fresh)
    copy = tmp_path / encoder.checkpoint.folder.name
    shutil.copytree(encoder.checkpoint.folder, copy)
    assert ClipEncoder(str(copy)).fingerprint == encoder.fingerprint
    (weights,) = copy.glob("*.safetensors")
    with weights.open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\1\2\3")
    assert ClipEncoder(str(copy)).fingerprint.revision != encoder.fingerprint.revision


def test_the_library_alone_gives_the_same_vectors(open_clip_folder, transformers_folder, shapes):
    """By each library's own documented calls, without our preprocessing, batching and precision."""
    import open_clip
    import torch
    import transformers

    pictures = [Image.fromarray(image) for _, image in shapes[:5]]
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{open_clip_folder}")
    with torch.no_grad():
        theirs = model.eval().encode_image(torch.stack([transform(each) for each in pictures]), normalize=True)
    ours = ClipEncoder(f"local-dir:{open_clip_folder}").encode_images([image for _, image in shapes[:5]])
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)

    clip = transformers.CLIPModel.from_pretrained(transformers_folder).eval()
    processor = transformers.CLIPImageProcessorPil.from_pretrained(transformers_folder)
    with torch.no_grad():
        theirs = clip.get_image_features(**processor(images=pictures, return_tensors="pt")).pooler_output.numpy()
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = ClipEncoder(str(transformers_folder)).encode_images([image for _, image in shapes[:5]])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_siglip_and_siglip2(siglip_folder, shapes):
    encoder = ClipEncoder(str(siglip_folder))
    images = [image for _, image in shapes[:3]]
    vectors = encoder.encode_images(images)
    assert vectors.shape == (3, encoder.fingerprint.dim) == (3, 64)
    for row, image in zip(vectors, images, strict=True):
        np.testing.assert_allclose(encoder.encode_image_query(image), row, atol=2e-6)
    texts = encoder.encode_texts(["a red circle", "a photo of a page with a blue square"])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(texts[0], encoder.encode_query("a red circle"), atol=2e-6)
    assert not np.allclose(texts[0], texts[1])


def test_siglip_as_the_library_calls_it(siglip_folder, shapes):
    """Both towers in one call of the model, texts padded to the full length and without a mask."""
    import torch
    import transformers

    model = transformers.AutoModel.from_pretrained(siglip_folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(siglip_folder)
    processor = transformers.AutoImageProcessor.from_pretrained(siglip_folder, backend="pil")
    images, texts = [image for _, image in shapes[:3]], ["a red circle", "a photo of a blue square"]
    ids = tokenizer(texts, padding="max_length", max_length=8, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        given = model(
            input_ids=ids, **processor(images=[Image.fromarray(each) for each in images], return_tensors="pt")
        )
    encoder = ClipEncoder(str(siglip_folder))
    np.testing.assert_allclose(encoder.encode_images(images), given.image_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(texts), given.text_embeds.numpy(), atol=1e-5)
    assert encoder.scale == pytest.approx(float(model.logit_scale.detach().exp()), rel=1e-5)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("no such thing", "neither a folder nor a name"),
        ("{tmp}", r"no config\.json"),
        ("local-dir:{tmp}", r"no open_clip_config\.json"),
        ("{tmp}/bert", "type 'bert'; .* clip, siglip, siglip2"),
        ("{tmp}/weightless", "no weights"),
        ("{tmp}/broken", "no JSON object"),
        ("{tmp}/listed", "no JSON object"),
        ("{tmp}/sizeless", r"config\.json does not describe a CLIP model"),
        ("{tmp}/empty", r"open_clip_config\.json does not describe a CLIP model: 'model_cfg'"),
        ("local-dir:{tmp}/halved", r"open_clip_config\.json does not describe a CLIP model: 'vision_cfg'"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, spec, says):
    for name, config in (("bert", {"model_type": "bert"}), ("weightless", {"model_type": "clip"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    for name, file, text in (
        ("broken", "config.json", "{"),
        ("listed", "config.json", "[1]"),
        ("sizeless", "config.json", '{"model_type": "siglip", "vision_config": {"hidden_size": null}}'),
        ("empty", "open_clip_config.json", "{}"),
        ("halved", "open_clip_config.json", '{"model_cfg": {"embed_dim": 3}}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    with pytest.raises(ConfigError, match=says):
        open_encoder("clip:" + spec.format(tmp=tmp_path))


def test_weights_of_another_shape_are_refused(transformers_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(transformers_folder, tmp_path / "half")
    weights = load_file(tmp_path / "half" / "model.safetensors")
    weights.pop("visual_projection.weight")
    save_file(weights, tmp_path / "half" / "model.safetensors", {"format": "pt"})
    with pytest.raises(ChannelUnavailable, match=r"visual_projection\.weight"):
        ClipEncoder(str(tmp_path / "half")).encode_query("a red circle")


@pytest.mark.parametrize("missing", ["tokenizer*", "*processor_config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_part_is_named(transformers_folder, tmp_path, missing):
    folder = shutil.copytree(transformers_folder, tmp_path / "part")
    for path in folder.glob(missing):
        path.unlink()
    with pytest.raises((ChannelUnavailable, ConfigError), match="part"):
        ClipEncoder(str(folder)).encode_query("a red circle")
