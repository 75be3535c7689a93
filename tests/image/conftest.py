"""Coloured shapes, and tiny CLIP models that are trained on them here, in seconds, and saved as the libraries do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.support.commands import CORE, Starter

VISION = "tests.support.vision_imports"
COLOURS = {"red": (214, 40, 40), "green": (30, 150, 60), "blue": (40, 80, 220)}
SHAPES = ("circle", "square", "triangle")
CLASSES = [(colour, shape) for colour in COLOURS for shape in SHAPES]
SIZE = 32  # pixels, of the images that the models see
STEPS = 300  # of training
WORDS = ["a", "photo", "of", "page", "with", *COLOURS, *SHAPES]


def caption(kind: tuple[str, str]) -> str:
    return f"a {kind[0]} {kind[1]}"


def draw(kind: tuple[str, str], rng: np.random.Generator, size: int = 64) -> np.ndarray:
    """uint8 [size, size, 3]: the shape somewhere on a light ground, in a size between a third and two thirds."""
    colour, shape = COLOURS[kind[0]], kind[1]
    ground = tuple(rng.integers(225, 256, 3).tolist())
    image = Image.new("RGB", (4 * size, 4 * size), ground)
    side = int(rng.integers(4 * size // 3, 4 * size * 2 // 3))
    x, y = (int(value) for value in rng.integers(0, 4 * size - side, 2))
    pen = ImageDraw.Draw(image)
    tint = tuple(int(value) for value in np.clip(np.array(colour) + rng.integers(-20, 21, 3), 0, 255))
    if shape == "circle":
        pen.ellipse((x, y, x + side, y + side), fill=tint)
    elif shape == "square":
        pen.rectangle((x, y, x + side, y + side), fill=tint)
    else:
        pen.polygon([(x, y + side), (x + side, y + side), (x + side // 2, y)], fill=tint)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


@pytest.fixture(scope="session")
def shapes() -> list[tuple[tuple[str, str], np.ndarray]]:
    """Four drawings of each class that no model was trained on."""
    rng = np.random.default_rng(99)
    return [(kind, draw(kind, rng)) for kind in CLASSES for _ in range(4)]


def train(
    torch, parameters, image_features: Callable, text_features: Callable, scale: float, *, steps: int, seed: int = 0
) -> None:
    """CLIP's loss on batches with one drawing of each class; ``image_features`` take float [n, 3, SIZE, SIZE] 0–1."""
    rng = np.random.default_rng(seed)
    drawings = np.stack([[draw(kind, rng, SIZE) for kind in CLASSES] for _ in range(60)])  # [60, classes, 32, 32, 3]
    pixels = torch.from_numpy(drawings).permute(0, 1, 4, 2, 3).float() / 255
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    copies = 4
    targets = torch.arange(len(CLASSES))
    for _ in range(steps):
        chosen = torch.from_numpy(rng.integers(0, len(pixels), copies))
        images = torch.nn.functional.normalize(image_features(pixels[chosen].flatten(0, 1)), dim=1)
        texts = torch.nn.functional.normalize(text_features([caption(kind) for kind in CLASSES]), dim=1)
        logits = scale * (images @ texts.T).view(copies, len(CLASSES), len(CLASSES))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.repeat(copies))
        loss = loss + torch.nn.functional.cross_entropy(logits.transpose(1, 2).flatten(0, 1), targets.repeat(copies))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@pytest.fixture(scope="session")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for open_clip's ``local-dir:``, its tokenizer being open_clip's own."""
    torch = _torch()
    open_clip = pytest.importorskip("open_clip", reason="needs the extra folioscope[vision]")
    from safetensors.torch import save_file

    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": SIZE, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = open_clip.CLIP(**config)
    tokenizer = open_clip.SimpleTokenizer(context_length=8)
    train(
        torch,
        [value for name, value in model.named_parameters() if name != "logit_scale"],
        lambda pixels: model.encode_image((pixels - 0.5) / 0.5),
        lambda texts: model.encode_text(tokenizer(texts)),
        10.0,
        steps=STEPS,
    )
    torch.nn.init.constant_(model.logit_scale, float(np.log(10.0)))
    folder = tmp_path_factory.mktemp("open-clip") / "tiny-open-clip"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


@pytest.fixture
def photos(tmp_path, shapes):
    """A folder with three photos, one of them twice, in another size and format."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, number in (("red-circle", 0), ("green-square", 16), ("blue-triangle", 32)):
        Image.fromarray(shapes[number][1]).resize((256, 256)).save(folder / f"{name}.png")
    Image.open(folder / "red-circle.png").resize((300, 300)).save(folder / "again.jpg", quality=90)
    return folder


@pytest.fixture(scope="session")
def vision_starter():
    with Starter(*CORE, VISION) as started:
        yield started


@pytest.fixture
def run(tmp_path, vision_starter):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FOLIOSCOPE_", "HF_"))}
    env |= {"FOLIOSCOPE_DATA_DIR": str(tmp_path / "data"), "FOLIOSCOPE_CONFIG": str(tmp_path / "folioscope.toml")}
    env |= {"FOLIOSCOPE_CHANNELS": "lexical", "NO_COLOR": "1", "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}

    def command(*arguments, code=0):
        done = vision_starter.run(*arguments, env=env)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return command


def word_tokenizer():
    """A tokenizer of whole words, as transformers loads it from a folder."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("$A <eos>", special_tokens=[("<eos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", model_max_length=8
    )


def transformers_clip(family: str):
    """An untrained model of a family, with its image processor; texts have at most 8 tokens."""
    import transformers

    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**tower, "num_hidden_layers": 1, "vocab_size": 3 + len(WORDS), "max_position_embeddings": 8}
    text |= {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1}
    vision = {**tower, "image_size": SIZE, "patch_size": 8}
    even = {"do_center_crop": False, "size": {"height": SIZE, "width": SIZE}}
    if family == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=32)
        processor = transformers.CLIPImageProcessor(
            size={"shortest_edge": SIZE},
            crop_size={"height": SIZE, "width": SIZE},
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
        )
        return transformers.CLIPModel(config), processor
    if family == "siglip":
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        return transformers.SiglipModel(config), transformers.SiglipImageProcessor(**even)
    naflex = {**tower, "num_patches": 16, "patch_size": 8}
    config = transformers.Siglip2Config(text_config=text, vision_config=naflex)
    return transformers.Siglip2Model(config), transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)


@pytest.fixture(scope="session")
def transformers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP as transformers saves it, trained."""
    torch = _torch()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, processor = transformers_clip("clip")
    tokenizer = word_tokenizer()

    def texts(batch: list[str]):
        return model.get_text_features(**tokenizer(batch, padding=True, return_tensors="pt")).pooler_output

    train(
        torch,
        [value for name, value in model.named_parameters() if name != "logit_scale"],
        lambda pixels: model.get_image_features((pixels - 0.5) / 0.5).pooler_output,
        texts,
        10.0,
        steps=STEPS,
    )
    torch.nn.init.constant_(model.logit_scale, float(np.log(10.0)))
    folder = tmp_path_factory.mktemp("transformers") / "tiny-clip"
    for part in (model, processor, tokenizer):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=["siglip", "siglip2"])
def siglip_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained: what is tested is how it is called."""
    torch = _torch()
    torch.manual_seed(0)
    model, processor = transformers_clip(request.param)
    folder = tmp_path_factory.mktemp(request.param) / f"tiny-{request.param}"
    for part in (model, processor, word_tokenizer()):
        part.save_pretrained(folder)
    return folder


def _torch():
    pytest.importorskip("torch", reason="needs the extra folioscope[vision]")
    from retrieval.encoders.torch_device import import_torch

    return import_torch()
