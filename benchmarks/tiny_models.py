"""Tiny checkpoints of every ColPali family, for tests and benchmarks without a network.

Real classes, real processors, random weights of 50 to 300 thousand parameters and a tokenizer made on the spot,
saved with ``save_pretrained``, so that the normal call loads them from their folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrieval.encoders.torch_device import import_torch

WORDS = ("harbour", "engine", "window", "forest", "letter", "bridge", "copper", "planet")

SPECIAL = (
    "<pad>", "<bos>", "<eos>", "<unk>", "<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>",
    "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|endoftext|>", "<|vision_start|>", "<|vision_end|>",
    "<|image_pad|>", "<|video_pad|>", "<start_of_image>", "<end_of_image>", "<image_soft_token>",
    *(f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)),
)  # fmt: skip
PROMPTS = "User Assistant Describe the this image Question Query user : . ? \n"

TILE, PATCH = 32, 8  # pixels; two by two patches make a token wherever a family merges them
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
QWEN_TEXT = {
    **TEXT, "num_key_value_heads": 1, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
}  # fmt: skip
SIGLIP = {**TEXT, "image_size": TILE, "patch_size": PATCH}


def tokenizer(words: Sequence[str] = WORDS, **named: str) -> Any:
    """A byte-level BPE tokenizer that has these words and the prompts' whole, and all families' special tokens."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(special_tokens=list(SPECIAL), initial_alphabet=sorted(alphabet), show_progress=False)
    made.train_from_iterator([f"{word} {word}" for word in [*PROMPTS.split(" "), *words]] * 2, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[4:]),
        **named,
    )


def colpali(folder: Path) -> None:
    """Transformers' ColPaliForRetrieval."""
    from transformers import ColPaliConfig, ColPaliForRetrieval, ColPaliProcessor, SiglipImageProcessor

    tokens = tokenizer()
    processor = ColPaliProcessor(SiglipImageProcessor(size=_square(), image_seq_length=16), tokens)
    model = ColPaliForRetrieval(ColPaliConfig(vlm_config=_paligemma(processor.tokenizer), embedding_dim=16))
    _save(folder, model, processor)


def colpali_engine(folder: Path) -> None:
    """colpali-engine's ColPali."""
    from colpali_engine.models import ColPali, ColPaliProcessor
    from transformers import SiglipImageProcessor

    processor = ColPaliProcessor(SiglipImageProcessor(size=_square(), image_seq_length=16), tokenizer())
    _save(folder, ColPali(_paligemma(processor.tokenizer)), processor)


def colgemma3(folder: Path) -> None:
    """colpali-engine's ColGemma3: a square image, two by two patches pooled to a token."""
    from colpali_engine.models import ColGemma3, ColGemmaProcessor3
    from transformers import Gemma3Config, Gemma3ImageProcessor

    tokens = tokenizer(boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>")
    tokens.chat_template = (
        "{{ bos_token }}{% for message in messages %}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{% endfor %}<eos>"
    )
    processor = ColGemmaProcessor3(Gemma3ImageProcessor(size=_square()), tokens, image_seq_length=4)
    config = Gemma3Config(
        text_config={**TEXT, "num_key_value_heads": 1, "head_dim": 16, "vocab_size": len(tokens)},
        vision_config={**SIGLIP, "vision_use_head": False},
        mm_tokens_per_image=4,
        image_token_index=tokens.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=tokens.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokens.convert_tokens_to_ids("<end_of_image>"),
    )
    _save(folder, ColGemma3(config), processor)


def colmodernvbert(folder: Path, *, words: Sequence[str] = WORDS, long_edge: int = 3 * TILE) -> None:
    """Transformers' ColModernVBertForRetrieval: tiles of 2 x 2 tokens and the whole page once more."""
    from transformers import ColModernVBertConfig, ColModernVBertForRetrieval, ColModernVBertProcessor

    tokens = tokenizer(words)
    processor = ColModernVBertProcessor(_idefics_images(long_edge), tokens, image_seq_len=4)
    config = ColModernVBertConfig(vlm_config=_modernvbert(processor.tokenizer), embedding_dim=16)
    _save(folder, ColModernVBertForRetrieval(config), processor)


def colmodernvbert_engine(folder: Path) -> None:
    """colpali-engine's ColModernVBert."""
    from colpali_engine.models import ColModernVBert, ColModernVBertProcessor

    processor = ColModernVBertProcessor(_idefics_images(3 * TILE), tokenizer(), image_seq_len=4)
    _save(folder, ColModernVBert(_modernvbert(processor.tokenizer)), processor)


def colidefics3(folder: Path) -> None:
    """colpali-engine's ColIdefics3 (ColSmol)."""
    from colpali_engine.models import ColIdefics3, ColIdefics3Processor
    from transformers import Idefics3Config

    processor = ColIdefics3Processor(_idefics_images(3 * TILE), tokenizer(), image_seq_len=4)
    tokens = processor.tokenizer
    config = Idefics3Config(
        text_config={"model_type": "llama", **TEXT, "vocab_size": len(tokens), "pad_token_id": 0},
        vision_config=SIGLIP,
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    _save(folder, ColIdefics3(config), processor)


def colqwen2(folder: Path) -> None:
    """Transformers' ColQwen2ForRetrieval: as many tokens as the page's shape asks for."""
    from transformers import ColQwen2Config, ColQwen2ForRetrieval, ColQwen2Processor

    tokens = tokenizer()
    processor = ColQwen2Processor(_qwen_images(), tokens)
    config = ColQwen2Config(vlm_config={"model_type": "qwen2_vl", **_qwen2(tokens)}, embedding_dim=16)
    _save(folder, ColQwen2ForRetrieval(config), processor)


def colqwen2_engine(folder: Path) -> None:
    """colpali-engine's ColQwen2."""
    from colpali_engine.models import ColQwen2, ColQwen2Processor
    from transformers import Qwen2VLConfig

    tokens = tokenizer()
    _save(folder, ColQwen2(Qwen2VLConfig(**_qwen2(tokens))), ColQwen2Processor(_qwen_images(), tokens, _video()))


def colqwen2_5(folder: Path) -> None:
    """colpali-engine's ColQwen2_5: windowed attention in its vision part."""
    from colpali_engine.models import ColQwen2_5, ColQwen2_5_Processor
    from transformers import Qwen2_5_VLConfig

    tokens = tokenizer()
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
        "patch_size": PATCH, "window_size": 4 * PATCH, "fullatt_block_indexes": [1],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=_qwen_text(tokens), vision_config=vision, **_qwen_ids(tokens))
    _save(folder, ColQwen2_5(config), ColQwen2_5_Processor(_qwen_images(), tokens, _video()))


def colqwen3(folder: Path) -> None:
    """colpali-engine's ColQwen3: vectors of 320 numbers."""
    from colpali_engine.models import ColQwen3, ColQwen3Processor
    from transformers import Qwen3VLConfig

    tokens = tokenizer()
    vision = {**_qwen3_vision(), "deepstack_visual_indexes": [0]}
    config = Qwen3VLConfig(text_config=_qwen_text(tokens), vision_config=vision, **_qwen_ids(tokens))
    _save(folder, ColQwen3(config), ColQwen3Processor(_qwen_images(), tokens, _video()))


def colqwen3_5(folder: Path) -> None:
    """colpali-engine's ColQwen3_5: linear attention in one layer, full attention in the other."""
    from colpali_engine.models import ColQwen3_5, ColQwen3_5Processor
    from transformers import Qwen3_5Config

    tokens = tokenizer()
    text = {
        **_qwen_text(tokens), "layer_types": ["linear_attention", "full_attention"], "linear_key_head_dim": 16,
        "linear_value_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 2,
    }  # fmt: skip
    config = Qwen3_5Config(text_config=text, vision_config=_qwen3_vision(), **_qwen_ids(tokens))
    _save(folder, ColQwen3_5(config), ColQwen3_5Processor(_qwen_images(), tokens, _video()))


BUILDERS: dict[str, Callable[[Path], None]] = {
    build.__name__: build
    for build in (
        colpali, colpali_engine, colgemma3, colmodernvbert, colmodernvbert_engine, colidefics3, colqwen2,
        colqwen2_engine, colqwen2_5, colqwen3, colqwen3_5,
    )
}  # fmt: skip


def build(name: str, folder: Path) -> Path:
    """The checkpoint of one of `BUILDERS`, the same at each call, saved to ``folder``, which is returned."""
    import_torch().manual_seed(0)
    BUILDERS[name](folder)
    return folder


def _save(folder: Path, model: Any, processor: Any) -> None:
    """Random weights with a spread, so that vectors differ from token to token and no row is 0 / 0."""
    torch = import_torch()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.1)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.02)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def _square() -> dict[str, int]:
    return {"height": TILE, "width": TILE}


def _paligemma(tokens: Any) -> Any:
    from transformers import PaliGemmaConfig

    return PaliGemmaConfig(
        text_config={
            "model_type": "gemma",
            **TEXT,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "vocab_size": len(tokens),
        },
        vision_config={**SIGLIP, "projection_dim": 32, "vision_use_head": False},
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
    )


def _idefics_images(long_edge: int) -> Any:
    from transformers import Idefics3ImageProcessor

    # The default, Lanczos, is not to be had on tensors: transformers warns and takes bicubic.
    return Idefics3ImageProcessor(size={"longest_edge": long_edge}, max_image_size={"longest_edge": TILE}, resample=3)


def _modernvbert(tokens: Any) -> Any:
    from transformers import ModernVBertConfig

    return ModernVBertConfig(
        text_config={
            "model_type": "modernbert", **TEXT, "vocab_size": len(tokens), "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
        },
        vision_config={"model_type": "siglip_vision_model", **SIGLIP, "vision_use_head": False},
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        pixel_shuffle_factor=2,
    )  # fmt: skip


def _qwen_images() -> Any:
    from transformers import Qwen2VLImageProcessor

    size = {"shortest_edge": 4 * (2 * PATCH) ** 2, "longest_edge": 40 * (2 * PATCH) ** 2}
    return Qwen2VLImageProcessor(patch_size=PATCH, merge_size=2, size=size)


def _video() -> Any:
    from transformers import Qwen2VLVideoProcessor

    return Qwen2VLVideoProcessor(patch_size=PATCH)


def _qwen2(tokens: Any) -> dict[str, Any]:
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": PATCH}
    return {"text_config": _qwen_text(tokens), "vision_config": vision, **_qwen_ids(tokens)}


def _qwen_text(tokens: Any) -> dict[str, Any]:
    return {**QWEN_TEXT, "vocab_size": len(tokens)}


def _qwen3_vision() -> dict[str, Any]:
    return {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
        "patch_size": PATCH, "num_position_embeddings": 64,
    }  # fmt: skip


def _qwen_ids(tokens: Any) -> dict[str, int]:
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {"vision_start_token_id": "vision_start", "vision_end_token_id": "vision_end"}
    return {key: tokens.convert_tokens_to_ids(f"<|{name}|>") for key, name in names.items()}
