"""The ColPali families on tiny checkpoints of their real classes: vectors, places, batches, names, errors."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from benchmarks.tiny_models import BUILDERS, build
from folioscope.domain import PageInput, PageKey, Words
from folioscope.errors import ChannelUnavailable, ConfigError
from retrieval import open_encoder
from retrieval.encoders import colpali
from retrieval.encoders.colpali import ColPaliEncoder, between, start_batch
from retrieval.encoders.colpali_families import grid, long_edge, tiled_grid
from retrieval.encoders.torch_device import Device, import_torch, is_out_of_memory
from retrieval.similarity import patch_grid, regions, similarity

pytestmark = [
    pytest.mark.skipif(find_spec("colpali_engine") is None, reason="needs the extra folioscope[vision]"),
    # transformers' PaliGemma processor and numpy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]

LAYOUTS = {"colgemma3": "square", "colpali": "square", "colpali_engine": "square"}
LAYOUTS |= {"colmodernvbert": "tiles", "colmodernvbert_engine": "tiles", "colidefics3": "tiles"}
SHAPES = [(96, 64), (64, 96), (96, 70), (200, 100), (96, 64), (50, 90)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """``checkpoint(name)``: the folder of a tiny checkpoint, built once."""
    root = tmp_path_factory.mktemp("tiny")

    def folder(name):
        return root / name if (root / name).exists() else build(name, root / name)

    return folder


@pytest.fixture(scope="module")
def encoder(checkpoint):
    """``encoder(name)``: an encoder of that checkpoint, opened once."""
    opened = {}

    def get(name):
        if name not in opened:
            opened[name] = open_encoder(f"colpali:{checkpoint(name)}")
        return opened[name]

    return get


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def noise(rng, height, width):
    return rng.integers(0, 255, (height, width, 3), dtype=np.uint8)


def page(number, image=None):
    return PageInput(PageKey("doc", 1, number), "report.pdf", Words.empty(), image)


@pytest.mark.parametrize("name", BUILDERS)
def test_vectors_are_those_of_the_library_without_padding(encoder, rng, name):
    torch = import_torch()
    ours, images = encoder(name), [noise(rng, 96, 64), noise(rng, 96, 64)]
    processor, model = ours.processor, ours.model

    def library(inputs):
        inputs.pop("labels", None)  # for training
        with torch.inference_mode():
            output = model(**inputs)
        return getattr(output, "embeddings", output)

    theirs = library(processor.process_images([Image.fromarray(image) for image in images]))
    asked = library(processor.process_queries(["harbour engine"]))
    pages, question = ours.encode_pages([page(1, lambda _: images[0]), page(2, lambda _: images[1])]), "harbour engine"
    query = ours.encode_query(question)

    assert query.dtype == pages[0].dtype == np.float32
    assert np.allclose(np.linalg.norm(pages[0], axis=1), 1, atol=1e-6)
    assert np.allclose(np.stack(pages), theirs.numpy(), atol=1e-5)
    assert np.allclose(query, asked[0].numpy(), atol=1e-5)
    assert ours.fingerprint.dim == query.shape[1] == pages[0].shape[1]
    assert (ours.fingerprint.kind, ours.fingerprint.encoder) == ("multi", f"colpali:{name}")

    score = getattr(processor, "score_retrieval", None) or processor.score_multi_vector
    maxsim = [(query @ vectors.T).max(axis=1).sum() for vectors in pages]
    assert np.allclose(score(list(asked), list(theirs))[0].numpy(), maxsim, atol=1e-4)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_page_has_the_same_vectors_whatever_lies_beside_it(encoder, rng, name):
    ours, images = encoder(name), [noise(rng, *shape) for shape in SHAPES]
    alone = [ours.encode_images([image])[0] for image in images]
    for size in (2, 4, 6):
        ours.batching.size = size
        together = ours.encode_images(images)
        assert [len(found.vectors) for found in together] == [len(found.vectors) for found in alone]
        cosines = [(a.vectors * b.vectors).sum(axis=1).min() for a, b in zip(alone, together, strict=True)]
        assert min(cosines) >= 0.9999
    ours.batching.size = 4


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("shape", [(144, 96), (96, 144), (40, 40)])
def test_patches_tile_the_page(encoder, name, shape):
    boxes = encoder(name).patch_boxes(*shape)
    placed = boxes[~np.isnan(boxes[:, 0])]
    assert np.isnan(boxes).any(axis=1).tolist() == np.isnan(boxes).all(axis=1).tolist()
    assert placed.min() >= 0
    assert placed.max() <= 1
    assert (placed[:, 2:] > placed[:, :2]).all()
    cells = patch_grid(boxes)
    assert len(set(cells.ravel().tolist())) == cells.size
    rows, cols = cells.shape
    assert np.allclose(boxes[cells.ravel()], grid(rows, cols), atol=1e-6)
    assert (rows >= cols) == (shape[0] >= shape[1]) or LAYOUTS.get(name) == "square"
    assert len(placed) - cells.size in ((4, 0) if LAYOUTS.get(name) == "tiles" else (0,))  # the whole page once more


@pytest.mark.parametrize("name", BUILDERS)
def test_every_family_has_a_map(encoder, rng, name):
    ours, image = encoder(name), noise(rng, 144, 96)
    found = similarity(ours, "harbour engine", image)
    [seen] = ours.encode_images([image])
    cells = patch_grid(seen.boxes)
    assert found.grid.shape == (len(found.tokens), *cells.shape)
    last = seen.vectors[cells[-1, -1]]  # bottom right
    assert np.allclose(found.grid[:, -1, -1], ours.encode_query("harbour engine") @ last, atol=1e-6)
    assert found.strongest.shape == cells.shape
    assert len(regions(found, k=3)) <= 3


@pytest.mark.parametrize("shape", [(1, 96), (96, 1), (2, 500), (500, 2), (4000, 10)])
@pytest.mark.parametrize("name", ["colpali", "colmodernvbert", "colqwen2", "colqwen3"])
def test_a_strip_of_a_page_is_a_page(encoder, rng, name, shape):
    ours = encoder(name)
    [found] = ours.encode_images([noise(rng, *shape)])
    assert found.boxes.shape == (len(found.vectors), 4)
    assert np.array_equal(found.boxes, ours.patch_boxes(*shape), equal_nan=True)
    assert similarity(ours, "harbour", found).grid.size > 0


def test_tiles_come_in_reading_order_and_the_whole_page_last():
    tags = ["<row_1_col_1>", "<image>", "<row_1_col_2>", "<image>", "<global-img>", "<image>"]
    cells = tiled_grid(tags, 2)
    assert cells.shape == (12, 4)
    assert cells[0].tolist() == [0, 0, 0.25, 0.5]
    assert cells[3].tolist() == [0.25, 0.5, 0.5, 1]
    assert cells[4].tolist() == [0.5, 0, 0.75, 0.5]
    assert cells[8:].tolist() == grid(2, 2).tolist()
    assert tiled_grid(["<global-img>", "<image>"], 2).tolist() == grid(2, 2).tolist()  # no tiles: it fits into one


@pytest.mark.parametrize("name", BUILDERS)
def test_the_vector_that_changes_with_a_spot_lies_on_the_spot(encoder, rng, name):
    """The layout tables against the model itself: attention spreads a change, but its own patch changes most."""
    ours, height, width = encoder(name), 144, 96
    cells = patch_grid(ours.patch_boxes(height, width))
    rows, cols = cells.shape
    spots = [(0, 0), (rows - 1, cols - 1), (rows // 2, 0), (0, cols - 1), (rows // 2, cols // 2), (rows - 1, 1)]
    images = [np.full((height, width, 3), 200, np.uint8)]
    for row, col in spots:
        spotted = images[0].copy()
        top, left = row * height // rows + 1, col * width // cols + 1
        bottom, right = (row + 1) * height // rows - 1, (col + 1) * width // cols - 1
        spotted[top:bottom, left:right] = noise(rng, bottom - top, right - left)
        images.append(spotted)
    blank, *spotted = [found.vectors for found in ours.encode_images(images)]
    for spot, vectors in zip(spots, spotted, strict=True):
        change = np.linalg.norm(vectors - blank, axis=1)[cells]
        assert np.unravel_index(change.argmax(), change.shape) == spot


@pytest.mark.parametrize("name", BUILDERS)
def test_the_tokens_of_a_question_are_told_from_what_stands_around_them(encoder, name):
    found = encoder(name).query_tokens("harbour engine")
    assert [token.strip() for token, asked in zip(found.tokens, found.asked, strict=True) if asked] == [
        "harbour",
        "engine",
    ]
    assert len(found.tokens) == len(found.vectors) > 2


def test_a_question_is_encoded_once_and_read_only(encoder):
    ours = encoder("colmodernvbert")
    vectors = ours.encode_query("harbour engine")
    assert ours.encode_query("harbour engine") is vectors
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 0
    assert ours.encode_query("  ") is None


def test_between_finds_what_is_not_shared():
    assert between([1, 7, 8, 2], [1, 2]).tolist() == [False, True, True, False]
    assert between([7], []).tolist() == [True]
    assert between([1, 2], [1, 2]).tolist() == [False, False]
    assert between([1, 1, 2], [1, 2]).tolist() == [False, True, False]


def test_pages_are_asked_for_in_the_size_that_the_processor_works_in(encoder, rng):
    asked = []

    def image(edge):
        asked.append(edge)
        return noise(rng, 96, 64)

    ours = encoder("colmodernvbert")
    ours.encode_pages([page(1, image)])
    assert asked == [96] == [ours.long_edge]
    assert "96 px" in ours.fingerprint.settings
    assert long_edge("square", {"height": 448, "width": 448}) == 672
    assert long_edge("tiles", {"longest_edge": 2048}) == 2048
    assert long_edge("dynamic", {"shortest_edge": 3136, "longest_edge": 602112}) == 1098
    assert long_edge("dynamic", {"shortest_edge": 3136, "longest_edge": 1 << 24}) == 2048


def test_a_page_without_an_image_is_named(encoder):
    with pytest.raises(ChannelUnavailable, match=r"Page 7 of report\.pdf"):
        encoder("colmodernvbert").encode_pages([page(7)])


def test_an_error_of_a_page_image_comes_through_and_the_encoder_goes_on(encoder, rng):
    def broken(_edge):
        raise OSError("no such page")

    ours, good = encoder("colmodernvbert"), noise(rng, 96, 64)
    with pytest.raises(OSError, match="no such page"):
        ours.encode_pages([page(1, lambda _: good), page(2, broken)])
    assert len(ours.encode_pages([page(1, lambda _: good)])) == 1


def test_a_stream_that_is_left_early_leaves_no_thread_behind(encoder, rng):
    ours, image = encoder("colmodernvbert"), noise(rng, 96, 64)
    ours.encode_images([image])  # the pool that prepares pages stays
    before = threading.active_count()
    pages = ours.stream(page(number, lambda _: image) for number in range(1, 1000))
    assert len(next(pages).vectors) == 58
    assert threading.active_count() > before
    pages.close()
    assert threading.active_count() == before


def test_places_are_known_without_loading_weights(checkpoint):
    ours = ColPaliEncoder(str(checkpoint("colmodernvbert")))
    assert ours.patch_boxes(96, 64).shape == (58, 4)
    assert ours.fingerprint.dim == 16
    assert "model" not in vars(ours)


def test_running_out_of_memory_halves_the_batch_and_changes_nothing(encoder, rng, monkeypatch):
    torch, ours = import_torch(), encoder("colmodernvbert")
    images = [noise(rng, 96, 64) for _ in range(5)]
    ours.batching.size = 4
    before = ours.encode_images(images)
    forward = ours._forward

    def small(model, batch):
        if len(batch["input_ids"]) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return forward(model, batch)

    monkeypatch.setattr(ours, "_forward", small)
    after = ours.encode_images(images)
    assert ours.batching.size == 2
    assert "2 pages at once" in ours.device_note
    assert all(np.allclose(a.vectors, b.vectors, atol=1e-5) for a, b in zip(before, after, strict=True))
    ours.batching.size = 4


def test_what_counts_as_out_of_memory():
    torch = import_torch()
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("[alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_the_first_batch_goes_by_memory():
    torch = import_torch()
    cuda = Device(torch.device("cuda"), torch.bfloat16, "")
    gib = 1 << 30
    assert [start_batch(cuda, free * gib) for free in (0, 5, 10, 20, 40, 139)] == [1, 2, 4, 8, 16, 32]
    assert start_batch(Device(torch.device("cpu"), torch.float32, ""), 0) == colpali.CPU_BATCH


def test_bfloat16_vectors_find_the_same_pages(checkpoint, rng):
    """Why the fingerprint knows one class of precision."""
    torch = import_torch()
    half = ColPaliEncoder(str(checkpoint("colmodernvbert")), device=Device(torch.device("cpu"), torch.bfloat16, "test"))
    full = ColPaliEncoder(str(checkpoint("colmodernvbert")))
    image = noise(rng, 96, 64)
    a, b = half.encode_images([image])[0].vectors, full.encode_images([image])[0].vectors
    assert np.allclose(np.linalg.norm(a, axis=1), 1, atol=1e-6)
    assert (a * b).sum(axis=1).min() > 0.99
    assert half.fingerprint == full.fingerprint


def test_questions_may_come_while_pages_are_encoded(encoder, rng):
    ours, images = encoder("colqwen2_5"), [noise(rng, 96, 64) for _ in range(12)]
    expected = ours.encode_query("harbour")
    failed = []

    def ask(number):
        try:
            ours.encode_query(f"engine {number}")
        except Exception as error:  # noqa: BLE001 - seen below
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    assert len(ours.encode_images(images)) == 12
    for thread in threads:
        thread.join()
    assert failed == []
    assert np.array_equal(ours.encode_query("harbour"), expected)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
def test_an_adapter_is_opened_with_its_base(checkpoint, tmp_path, rng):
    from peft import LoraConfig, get_peft_model

    torch = import_torch()
    base = ColPaliEncoder(str(checkpoint("colqwen2_5")))
    plain = base.encode_query("harbour")
    config = LoraConfig(r=4, target_modules=r".*(q_proj|v_proj|custom_text_proj)$", init_lora_weights=False)
    torch.manual_seed(1)
    adapted = get_peft_model(ColPaliEncoder(str(checkpoint("colqwen2_5"))).model, config)
    adapted.peft_config["default"].base_model_name_or_path = str(checkpoint("colqwen2_5"))
    adapted.save_pretrained(tmp_path / "adapter")

    ours = open_encoder(f"colpali:{tmp_path / 'adapter'}")
    assert ours.family.model == "ColQwen2_5"
    assert ours.fingerprint.dim == base.fingerprint.dim
    assert ours.fingerprint.revision.endswith(f"+{base.fingerprint.revision}")
    inputs = base.processor.process_queries(["harbour"])
    with torch.inference_mode():
        expected = adapted(**inputs)[0].numpy()
    assert np.allclose(ours.encode_query("harbour"), expected, atol=1e-5)
    assert not np.allclose(plain, expected, atol=1e-2)


def test_the_revision_follows_the_content_and_not_the_place(checkpoint, tmp_path):
    source = checkpoint("colmodernvbert")
    copied = shutil.copytree(source, tmp_path / "elsewhere" / source.name)
    assert ColPaliEncoder(str(copied)).fingerprint == ColPaliEncoder(str(source)).fingerprint
    weights = bytearray((copied / "model.safetensors").read_bytes())
    weights[-3] ^= 64
    (copied / "model.safetensors").write_bytes(weights)
    assert ColPaliEncoder(str(copied)).fingerprint.revision != ColPaliEncoder(str(source)).fingerprint.revision


def test_a_model_in_the_hub_cache_is_opened_by_its_id_and_pinned_to_its_commit(checkpoint, tmp_path, monkeypatch):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--tiny"
    shutil.copytree(checkpoint("colmodernvbert"), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    found = open_encoder("colpali:somebody/tiny").fingerprint
    assert (found.encoder, found.revision) == ("colpali:somebody/tiny", commit[:12])


def opening(name, before="", **environment):
    """What is said to a process of its own that opens an encoder."""
    code = (
        f"{before}\nfrom retrieval import open_encoder\nfrom folioscope.errors import ChannelUnavailable\n"
        f"try:\n    open_encoder('colpali:{name}').fingerprint\nexcept ChannelUnavailable as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_hub_out_of_reach_is_told_at_once_with_what_to_do(tmp_path):
    start = time.monotonic()
    said = opening("somebody/absent", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path))
    assert time.monotonic() - start < 30
    assert "somebody/absent is not in" in said
    advice = (
        "models--somebody--absent",
        "name a folder",
        "HF_HOME",
        "HF_ENDPOINT",
        "The lexical channel works meanwhile",
    )
    for part in ("can't be reached", *advice):
        assert part in said


def test_a_model_that_the_hub_does_not_have_is_named(tmp_path):
    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), NotFound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = opening("somebody/absent", HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HOME=str(tmp_path))
        server.shutdown()
    assert "The hub does not give out somebody/absent" in said
    assert "HF_TOKEN" in said


def test_without_torch_the_extra_is_named(checkpoint):
    said = opening(str(checkpoint("colmodernvbert")), before="import sys; sys.modules['torch'] = None")
    assert "Models need torch" in said
    assert "pip install 'folioscope[vision]'" in said


@pytest.mark.parametrize("name", ["no/such/folder", "nonsense", "../x"])
def test_what_is_neither_folder_nor_id_is_refused(name):
    with pytest.raises(ConfigError, match="neither a folder nor an id"):
        open_encoder(f"colpali:{name}")


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no checkpoint in the folder .*no config\.json"):
        open_encoder(f"colpali:{tmp_path}")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no \*\.safetensors"):
        open_encoder(f"colpali:{tmp_path}")
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="no JSON"):
        open_encoder(f"colpali:{tmp_path}")


def test_another_kind_of_model_is_refused_with_the_list_of_families(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint("colqwen2_engine"), tmp_path / "plain")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["Qwen2VLForConditionalGeneration"]}))
    with pytest.raises(ConfigError, match="Qwen2VLForConditionalGeneration of type 'qwen2_vl'") as caught:
        open_encoder(f"colpali:{folder}")
    assert "ColModernVBertForRetrieval (colmodernvbert)" in caught.value.hint
    assert "ColQwen3_5 (qwen3_5)" in caught.value.hint


def test_a_checkpoint_without_its_projection_is_refused(checkpoint, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(checkpoint("colqwen2_engine"), tmp_path / "untrained")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "custom_text_proj" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="no weights of custom_text_proj"):
        _ = open_encoder(f"colpali:{folder}").fingerprint


def test_weights_that_were_cut_short_are_refused(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint("colmodernvbert"), tmp_path / "short")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(ConfigError, match=r"model\.safetensors holds no weights"):
        _ = open_encoder(f"colpali:{folder}").fingerprint


def test_weights_that_only_the_model_finds_damaged_are_refused(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint("colmodernvbert"), tmp_path / "long")
    with (folder / "model.safetensors").open("ab") as file:
        file.write(bytes(100))
    with pytest.raises((ChannelUnavailable, ConfigError), match=r"long") as caught:
        open_encoder(f"colpali:{folder}").encode_query("harbour")
    assert caught.value.hint


@pytest.mark.parametrize("spec", ["colpali:vidore/colSmol-256M", "clip:openai/clip-vit-base-patch32", "semantic:a/b"])
def test_without_torch_the_extra_is_named_and_nothing_fetched(monkeypatch, spec):
    monkeypatch.setattr("retrieval.encoders.torch_device.find_spec", lambda _name: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("fetched"))
    with pytest.raises(ChannelUnavailable, match=r"pip install 'folioscope\[vision\]'"):
        open_encoder(spec)


def test_a_checkpoint_without_its_processor_is_refused(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint("colmodernvbert"), tmp_path / "bare")
    for path in folder.glob("*processor*.json"):
        path.unlink()
    with pytest.raises(ChannelUnavailable, match=r"ColModernVBertProcessor can't be loaded from .*bare") as caught:
        _ = open_encoder(f"colpali:{folder}").fingerprint
    assert "models pull" in caught.value.hint


@pytest.mark.parametrize("name", ["colmodernvbert", "colqwen2_5"])
def test_a_checkpoint_without_its_tokenizer_is_refused(checkpoint, tmp_path, name):
    folder = shutil.copytree(checkpoint(name), tmp_path / "wordless")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"no tokenizer in .*wordless"):
        open_encoder(f"colpali:{folder}").encode_query("harbour")


@pytest.mark.parametrize("content", ["{}", '{"base_model_name_or_path": null}'])
def test_an_adapter_that_names_no_base_is_refused(tmp_path, content):
    (tmp_path / "adapter_model.safetensors").touch()
    (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(ConfigError, match="does not say which model it adapts"):
        open_encoder(f"colpali:{tmp_path}")


OWN_CODE = """
import os
from pathlib import Path
from transformers import ColQwen2Config, ColQwen2ForRetrieval, ColQwen2Processor

Path(os.environ["OWN_CODE_RAN"]).touch()

class OwnConfig(ColQwen2Config):
    model_type = "own_colqwen"

class OwnModel(ColQwen2ForRetrieval):
    config_class = OwnConfig

class OwnProcessor(ColQwen2Processor):
    pass
"""


@pytest.fixture
def coded(checkpoint, tmp_path, monkeypatch):
    """A checkpoint whose classes lie beside its weights; and the file that shows that they were run."""
    ran = tmp_path / "ran"
    monkeypatch.setenv("OWN_CODE_RAN", str(ran))
    folder = shutil.copytree(checkpoint("colqwen2"), tmp_path / "coded")
    (folder / "own.py").write_text(OWN_CODE)
    classes = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel", "AutoProcessor": "own.OwnProcessor"}
    for name, more in (("config.json", {"model_type": "own_colqwen"}), ("processor_config.json", {})):
        config = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**config, **more, "auto_map": classes}))
    return folder, ran


def test_code_that_comes_with_a_checkpoint_is_not_run_unless_asked_for(coded):
    folder, ran = coded
    with pytest.raises(ConfigError, match=r"coded comes with Python code \(own\.OwnModel\)") as caught:
        open_encoder(f"colpali:{folder}")
    assert "FOLIOSCOPE_TRUST_REMOTE_CODE" in caught.value.hint
    assert not ran.exists()


def test_code_that_is_trusted_reads_its_checkpoint(coded, encoder, rng):
    folder, ran = coded
    own, plain, image = (
        open_encoder(f"colpali:{folder}", trust_remote_code=True),
        encoder("colqwen2"),
        noise(rng, 96, 64),
    )
    assert own.fingerprint.dim == plain.fingerprint.dim
    assert own.fingerprint.settings == plain.fingerprint.settings
    ours, theirs = own.encode_images([image])[0], plain.encode_images([image])[0]
    assert ran.exists()
    assert np.allclose(ours.vectors, theirs.vectors, atol=1e-6)
    assert np.array_equal(ours.boxes, theirs.boxes, equal_nan=True)
    assert np.allclose(own.encode_query("harbour"), plain.encode_query("harbour"), atol=1e-6)


def test_changed_code_is_another_revision(coded):
    folder, _ = coded
    before = open_encoder(f"colpali:{folder}", trust_remote_code=True).fingerprint.revision
    (folder / "own.py").write_text(f"{OWN_CODE}\n# changed")
    assert open_encoder(f"colpali:{folder}", trust_remote_code=True).checkpoint.revision != before


def test_damaged_weights_are_an_error_and_no_vectors(checkpoint, tmp_path, rng):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(checkpoint("colmodernvbert"), tmp_path / "damaged")
    weights = load_file(folder / "model.safetensors")
    weights["embedding_proj_layer.bias"] = np.full_like(weights["embedding_proj_layer.bias"], np.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ChannelUnavailable, match="zero or no numbers"):
        open_encoder(f"colpali:{folder}").encode_images([noise(rng, 96, 64)])
