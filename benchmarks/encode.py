"""The visual encoder's speed: pages a second through `ColPaliEncoder.stream`, divided by the bare model loop.

``python -m benchmarks.encode [--json] [--pages N] [--rounds N] [--only NAME] [--batches 1,4,16]``

The bare loop is what a notebook would do: inputs prepared beforehand, then batch after batch through the model and back
to the CPU. The stream is what ingesting does: page images are asked for, prepared, encoded, and each page's vectors are
written to an index in memory meanwhile. Both use the same batch and leave out a mask that hides nothing. ``calls`` is
the same work in separate calls of `encode_pages`, `batch_size` pages each, where the device waits at the ends.
``ingest`` is a library that fills its visual channel: pages drawn in a child process, vectors written and flushed. A
round measures each once, every second round in the opposite order; the shares are the medians of the rounds' own.

Without a GPU: the slow twin of a tiny ColModernVBERT. Its forward ends in a sleep that stands in for the device, so
that the share says what the pipeline loses and not what the processor can do. torch has one thread meanwhile: a tiny
model's team of threads waits for each other longer than it computes. ``prepare`` is the milliseconds that one core
takes to prepare an A4 page for the default model in its real size: what a device asks of the cores beside it.

With CUDA: models of real size with random weights, built from their configs (throughput does not depend on the
weights): ColModernVBERT, 250 M, and ColQwen2.5, 3 B; and the bare loop's pages a second at other batch sizes.

Page images are drawn beforehand in the size that the encoder asks for: rendering is not measured here. The first batch
of a stream is prepared before anything runs, so that fewer than some twenty batches (``--pages``) understate it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, show
from benchmarks.tiny_models import build, tokenizer
from folioscope.domain import PageInput, PageKey, Words
from folioscope.settings import Settings
from ingest import Library
from retrieval.encoders.colpali import ColPaliEncoder, is_needed
from retrieval.encoders.torch_device import import_torch

SLOW_TWIN = "slow_twin"
SLEEP_S = 0.04  # a page on the stand-in for a device
ASPECT = 1.414  # A4


class SlowTwin:
    """A model whose forward takes ``SLEEP_S`` a page longer, without using the processor, as a device would."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = model.config

    def __call__(self, **inputs: Any) -> Any:  # noqa: D102 - see the class
        output = self.model(**inputs)
        time.sleep(SLEEP_S * len(inputs["input_ids"]))
        return output


def draw_pages(count: int, long_edge: int) -> list[PageInput]:
    """A4 pages with dark lines on white, eight different ones in turn."""
    rng = np.random.default_rng(0)
    height, width = long_edge, round(long_edge / ASPECT)
    images = [np.full((height, width, 3), 255, np.uint8) for _ in range(8)]
    for image in images:
        for top in range(height // 20, height - height // 20, max(4, height // 60)):
            line = rng.integers(0, 255, (max(2, height // 150), width - width // 5, 1), dtype=np.uint8)
            image[top : top + len(line), width // 10 : width // 10 + line.shape[1]] = line
    return [
        PageInput(PageKey("doc", 1, number), "doc.pdf", Words.empty(), _fixed(images[number % len(images)]))
        for number in range(1, count + 1)
    ]


def bare_loop(encoder: ColPaliEncoder, pages: Sequence[PageInput], batch: int) -> float:
    """Pages a second of the model alone; the inputs, as many as fill one batch, are prepared before the clock runs."""
    from PIL import Image

    torch, device = import_torch(), encoder.device
    images = [Image.fromarray(page.image(encoder.long_edge)) for page in pages[:batch] if page.image]
    given = encoder.processor.process_images(images)
    inputs = {name: value for name, value in given.items() if is_needed(name, value)}
    rounds = len(pages) // batch
    with torch.inference_mode():
        start = time.perf_counter()
        for _ in range(rounds):
            placed = {name: _placed(tensor, device) for name, tensor in inputs.items()}
            output = encoder.model(**placed)
            getattr(output, "embeddings", output).float().cpu()
    return rounds * batch / (time.perf_counter() - start)


def stream_loop(encoder: ColPaliEncoder, pages: Sequence[PageInput]) -> float:
    """Pages a second of `stream`, with somebody who writes the vectors down."""
    index: dict[PageKey, NDArray[np.float16]] = {}
    start = time.perf_counter()
    for page, found in zip(pages, encoder.stream(pages), strict=True):
        index[page.key] = found.vectors.astype(np.float16)
    return len(index) / (time.perf_counter() - start)


def call_loop(encoder: ColPaliEncoder, pages: Sequence[PageInput]) -> float:
    """Pages a second of separate calls of `encode_pages`."""
    index: dict[PageKey, NDArray[np.float16]] = {}
    start = time.perf_counter()
    for first in range(0, len(pages), encoder.batch_size):
        part = pages[first : first + encoder.batch_size]
        for page, vectors in zip(part, encoder.encode_pages(part), strict=True):
            index[page.key] = vectors.astype(np.float16)
    return len(index) / (time.perf_counter() - start)


def ingest_loop(library: Library, bare: Callable[[], float]) -> tuple[float, float]:
    """Pages a second of a library that fills its visual channel, from adding it to its last page; and of ``bare``."""
    library.add_channel(None, "visual")
    pages = sum(found.coverage.total for found in library.channel_status() if found.entry.name == "visual")
    start = time.perf_counter()
    library.backfill()
    taken = time.perf_counter() - start
    library.remove_channel(None, "visual")
    return pages / taken, bare()


def ingest_share(root: Path, count: int, rounds: int) -> dict[str, Any]:
    """A whole ingest with the slow twin: pages drawn in a child process, vectors on disk, the catalog's rows."""
    import pymupdf

    with pymupdf.open() as pdf:
        for number in range(count):
            pdf.new_page(width=595, height=842).insert_text((60, 80), f"harbour engine, page {number}")
        pdf.save(root / "pages.pdf")
    spec = f"colpali:{build('colmodernvbert', root / 'twin')}"
    settings = Settings(data_dir=root / "data", channels=("lexical",), visual_model=spec, ocr="off")
    with Library(settings=settings) as library:
        library.ingest([root / "pages.pdf"])
        encoder = library.channels.proven(spec)
        assert isinstance(encoder, ColPaliEncoder)
        slow_down(encoder)
        bare = partial(bare_loop, encoder, draw_pages(count, encoder.long_edge), encoder.batching.size)
        ingest_loop(library, bare)  # warm: the jobs' threads, the child process
        taken = [ingest_loop(library, bare) for _ in range(rounds)]
    return {
        "ingest_pages_per_s": round(median(found for found, _ in taken), 2),
        "ingest_shares": sorted(round(found / alone, 3) for found, alone in taken),
        "ingest_share": round(median(found / alone for found, alone in taken), 3),
    }


def measure(encoder: ColPaliEncoder, count: int, rounds: int) -> dict[str, Any]:
    """Pages a second of the three loops, and the shares."""
    batch = encoder.batching.size
    pages = draw_pages(max(count // batch, 1) * batch, encoder.long_edge)
    stream_loop(encoder, pages[: 2 * batch])  # warm: kernels chosen, threads started
    bare_loop(encoder, pages[: 2 * batch], batch)
    loops = {"bare": partial(bare_loop, batch=batch), "stream": stream_loop, "calls": call_loop}
    taken = []
    for number in range(rounds):  # each second round the other way round: what drifts, drifts for all alike
        order = list(loops)[:: 1 if number % 2 == 0 else -1]
        taken.append({name: loops[name](encoder, pages) for name in order})
    return {
        "device": encoder.device_note,
        "pages": len(pages),
        "vectors_per_page": len(encoder.encode_pages(pages[:1])[0]),
        "bare_pages_per_s": round(median(found["bare"] for found in taken), 2),
        "stream_pages_per_s": round(median(found["stream"] for found in taken), 2),
        "stream_shares": sorted(round(found["stream"] / found["bare"], 3) for found in taken),
        "stream_share": round(median(found["stream"] / found["bare"] for found in taken), 3),
        "calls_share": round(median(found["calls"] / found["bare"] for found in taken), 3),
    }


def batch_ladder(encoder: ColPaliEncoder, sizes: Iterable[int], count: int) -> dict[str, Any]:
    """The bare loop's pages a second and the peak of GPU memory at other batch sizes; None where it does not fit."""
    torch = import_torch()
    ladder: dict[str, Any] = {}
    for size in sizes:
        pages = draw_pages(max(count // size, 2) * size, encoder.long_edge)
        torch.cuda.reset_peak_memory_stats()
        try:
            bare_loop(encoder, pages[:size], size)
            speed = bare_loop(encoder, pages, size)
        except torch.cuda.OutOfMemoryError:
            ladder[f"batch_{size}"] = None
            torch.cuda.empty_cache()
            continue
        peak = torch.cuda.max_memory_allocated() / (1 << 30)
        ladder[f"batch_{size}"] = {"pages_per_s": round(speed, 2), "peak_gib": round(peak, 1)}
    return ladder


def real_colmodernvbert(folder: Path) -> None:
    """The default model's sizes: ModernBERT of 22 layers, SigLIP base in tiles of 512 pixels, pages of 2048."""
    import_torch()
    from transformers import ColModernVBertConfig, ColModernVBertForRetrieval, ModernVBertConfig

    processor = modernvbert_processor()
    vlm = ModernVBertConfig(
        text_config={"model_type": "modernbert", "vocab_size": 50408, "pad_token_id": 0},
        vision_config={"model_type": "siglip_vision_model", "image_size": 512, "vision_use_head": False},
        image_token_id=processor.image_token_id,
    )
    _save(folder, ColModernVBertForRetrieval, ColModernVBertConfig(vlm_config=vlm), processor)


def modernvbert_processor() -> Any:
    """What the default model's pages go through, with a tokenizer made here."""
    import_torch()
    from transformers import ColModernVBertProcessor, Idefics3ImageProcessor

    # The default, Lanczos, is not to be had on tensors: transformers warns and takes bicubic.
    images = Idefics3ImageProcessor(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512}, resample=3)
    return ColModernVBertProcessor(images, tokenizer(), image_seq_len=64)


def real_colqwen2_5(folder: Path) -> None:
    """Qwen2.5-VL-3B's sizes, and vidore/colqwen2.5's bound of 768 image tokens a page."""
    import_torch()
    from colpali_engine.models import ColQwen2_5, ColQwen2_5_Processor
    from transformers import Qwen2_5_VLConfig, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    tokens = tokenizer()
    images = Qwen2VLImageProcessor(size={"shortest_edge": 4 * 28 * 28, "longest_edge": 768 * 28 * 28})
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {"vision_start_token_id": "vision_start", "vision_end_token_id": "vision_end"}
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
            "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 128000, "pad_token_id": 0,
            "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
        },
        vision_config={"hidden_size": 1280, "out_hidden_size": 2048},
        **{key: tokens.convert_tokens_to_ids(f"<|{name}|>") for key, name in names.items()},
    )  # fmt: skip
    _save(folder, ColQwen2_5, config, ColQwen2_5_Processor(images, tokens, Qwen2VLVideoProcessor()))


REAL: dict[str, Callable[[Path], None]] = {"colmodernvbert_250m": real_colmodernvbert, "colqwen2_5_3b": real_colqwen2_5}


def prepare_ms(pages: int = 10) -> float:
    """Milliseconds of one core to make the default model's inputs of an A4 page of 2048 pixels, the median."""
    from PIL import Image

    processor, taken = modernvbert_processor(), []
    for page in draw_pages(pages, 2048):
        assert page.image
        image = Image.fromarray(page.image(2048))
        start = time.process_time()
        processor.process_images([image])
        taken.append(1000 * (time.process_time() - start))
    return round(median(taken), 1)


def slow_twin(root: Path) -> ColPaliEncoder:
    """The tiny model, slowed down, with batches of four."""
    encoder = ColPaliEncoder(str(build("colmodernvbert", root / "tiny")))
    slow_down(encoder)
    return encoder


def slow_down(encoder: ColPaliEncoder) -> None:
    """Make it a slow twin with batches of four."""
    import_torch().set_num_threads(1)
    encoder.model = SlowTwin(encoder.model)
    encoder.batching.size = 4


def run(root: Path, names: Sequence[str], pages: int, rounds: int, batches: Sequence[int]) -> dict[str, Any]:
    """The figures of the models named."""
    torch = import_torch()
    figures: dict[str, Any] = {}
    if SLOW_TWIN in names:
        figures[SLOW_TWIN] = {
            "sleep_ms_a_page": 1000 * SLEEP_S,
            **measure(slow_twin(root), pages, rounds),
            **ingest_share(root, pages, rounds),
        }
        figures["prepare"] = {"colmodernvbert_ms_a_page": prepare_ms()}
    for name in names:
        if name == SLOW_TWIN:
            continue
        REAL[name](root / name)
        encoder = ColPaliEncoder(str(root / name))
        millions = round(sum(parameter.numel() for parameter in encoder.model.parameters()) / 1e6)
        figures[name] = {"million_parameters": millions, **measure(encoder, pages, rounds)}
        figures[name]["batches"] = batch_ladder(encoder, batches, pages // 3)
        del encoder
        torch.cuda.empty_cache()
    return figures


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--pages", type=int, default=192, help="pages a round")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--only", choices=[SLOW_TWIN, *REAL], help="this one; without it, all that the machine is for")
    command.add_argument("--batches", default="1,4,8,16,32,64", help="on a GPU: batch sizes for the bare loop")
    given = command.parse_args()
    cuda = import_torch().cuda.is_available()
    if given.only in REAL and not cuda:
        command.error(f"{given.only} is measured on CUDA, and torch finds none")
    names = [given.only] if given.only else [SLOW_TWIN, *(REAL if cuda else ())]
    with tempfile.TemporaryDirectory() as root:
        figures = run(Path(root), names, given.pages, given.rounds, [int(size) for size in given.batches.split(",")])
    show(figures, given.json, lambda: _table(figures))


def _table(figures: dict[str, Any]) -> None:
    for name, values in figures.items():
        print(name)
        for key, value in values.items():
            print(f"  {key:<22} {value}")


def _save(folder: Path, model: Any, config: Any, processor: Any) -> None:
    """Built on the GPU in bfloat16: there three billion random numbers take seconds."""
    torch = import_torch()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            made = model(config)
    finally:
        torch.set_default_dtype(torch.float32)
    made.save_pretrained(folder)
    processor.save_pretrained(folder)


def _fixed(image: NDArray[np.uint8]) -> Callable[[int], NDArray[np.uint8]]:
    return lambda _long_edge: image


def _placed(tensor: Any, device: Any) -> Any:
    return tensor.to(device.device, device.dtype if tensor.is_floating_point() else tensor.dtype)


if __name__ == "__main__":
    main()
