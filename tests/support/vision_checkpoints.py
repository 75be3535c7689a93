"""Tiny vision-language checkpoints of several families: real classes and processors, random weights, no network.

Saved with ``save_pretrained``, so that the normal call loads them from their folder. Their words mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.tiny_models import PATCH, QWEN_TEXT, SIGLIP, TEXT, TILE, tokenizer
from folioscope.torch_device import import_torch

CONTEXT = 4096
LLAMA = {"model_type": "llama", **TEXT, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}
CLIP_VISION = {"model_type": "clip_vision_model", **SIGLIP, "projection_dim": 32}
QFORMER = {**TEXT, "encoder_hidden_size": 32, "max_position_embeddings": 512}

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system message') }}{% endif %}"


def template(image: str) -> str:
    return TEMPLATE.replace("IMAGE", image)


def llava(folder: Path) -> None:
    """A template that refuses system messages."""
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokens = tokenizer(image_token="<image>")
    images = CLIPImageProcessor(size={"shortest_edge": TILE}, crop_size={"height": TILE, "width": TILE})
    processor = LlavaProcessor(
        images, tokens, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=NO_SYSTEM + template("<image>\n"),
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=CLIP_VISION,
        text_config={**LLAMA, **ids(tokens)},
        image_token_index=number(tokens, "<image>"),
    )
    save(folder, LlavaForConditionalGeneration(config), processor)


def llava_next(folder: Path) -> None:
    from transformers import (
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    tokens = tokenizer(image_token="<image>")
    grid = [[TILE, 2 * TILE], [2 * TILE, TILE], [2 * TILE, 2 * TILE]]
    images = LlavaNextImageProcessor(
        size={"shortest_edge": TILE}, crop_size={"height": TILE, "width": TILE}, image_grid_pinpoints=grid
    )
    processor = LlavaNextProcessor(
        images, tokens, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template("<image>\n"),
    )  # fmt: skip
    config = LlavaNextConfig(
        vision_config=CLIP_VISION,
        text_config={**LLAMA, **ids(tokens)},
        image_token_index=number(tokens, "<image>"),
        image_grid_pinpoints=grid,
    )
    save(folder, LlavaNextForConditionalGeneration(config), processor)


def qwen2_vl(folder: Path) -> None:
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor

    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": PATCH}
    _qwen(folder, Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, vision)


def qwen2_5_vl(folder: Path) -> None:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
        "patch_size": PATCH, "window_size": 4 * PATCH, "fullatt_block_indexes": [1],
    }  # fmt: skip
    _qwen(folder, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, vision)


def qwen3_vl(folder: Path) -> None:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor

    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
        "patch_size": PATCH, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    _qwen(folder, Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor, vision)


def _qwen(folder: Path, config_class: Any, model_class: Any, processor_class: Any, vision: dict[str, Any]) -> None:
    from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    tokens = tokenizer(image_token="<|image_pad|>", video_token="<|video_pad|>")
    size = {"shortest_edge": 4 * (2 * PATCH) ** 2, "longest_edge": 40 * (2 * PATCH) ** 2}
    processor = processor_class(
        Qwen2VLImageProcessor(patch_size=PATCH, merge_size=2, size=size),
        tokens,
        Qwen2VLVideoProcessor(patch_size=PATCH),
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"),
    )
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {"vision_start_token_id": "vision_start", "vision_end_token_id": "vision_end"}
    special = {key: number(tokens, f"<|{name}|>") for key, name in names.items()}
    text = {**QWEN_TEXT, **ids(tokens), "max_position_embeddings": CONTEXT}
    save(folder, model_class(config_class(text_config=text, vision_config=vision, **special)), processor)


def internvl(folder: Path) -> None:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    tokens = tokenizer(
        start_image_token="<start_of_image>", end_image_token="<end_of_image>",
        context_image_token="<image_soft_token>", video_token="<|video_pad|>",
    )  # fmt: skip
    images = GotOcr2ImageProcessor(size={"height": TILE, "width": TILE}, max_patches=4, crop_to_patches=True)
    processor = InternVLProcessor(
        images, tokens, InternVLVideoProcessor(), image_seq_length=4, chat_template=template("<image_soft_token>\n")
    )
    vision = {**TEXT, "image_size": [TILE, TILE], "patch_size": [PATCH, PATCH]}
    config = InternVLConfig(
        vision_config=vision,
        text_config={**LLAMA, **ids(tokens)},
        image_token_id=number(tokens, "<image_soft_token>"),
        image_seq_length=4,
    )
    save(folder, InternVLForConditionalGeneration(config), processor)


def smolvlm(folder: Path) -> None:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    tokens = tokenizer(
        fake_image_token="<fake_token_around_image>", image_token="<image>", global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
    )  # fmt: skip
    size = {"size": {"longest_edge": 3 * TILE}, "max_image_size": {"longest_edge": TILE}, "resample": 3}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(**size), tokens, SmolVLMVideoProcessor(resample=3), image_seq_len=4,
        chat_template=template("<image>"),
    )  # fmt: skip
    config = SmolVLMConfig(
        vision_config={**SIGLIP, "model_type": "smolvlm_vision"}, text_config={**LLAMA, **ids(tokens)}, scale_factor=2,
        image_token_id=number(tokens, "<image>"), pad_token_id=0,
    )  # fmt: skip
    save(folder, SmolVLMForConditionalGeneration(config), processor)


def blip_2(folder: Path) -> None:
    """No template; one picture, in front."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessor

    tokens = tokenizer()
    processor = Blip2Processor(BlipImageProcessor(size={"height": TILE, "width": TILE}), tokens, num_query_tokens=4)
    config = Blip2Config(
        vision_config={**SIGLIP}, qformer_config={**QFORMER, "model_type": "blip_2_qformer"},
        text_config=_opt(tokens), num_query_tokens=4, image_token_index=number(tokens, "<image>"),
    )  # fmt: skip
    save(folder, Blip2ForConditionalGeneration(config), processor)


def instructblip(folder: Path) -> None:
    """As BLIP-2, and a second tokenizer."""
    from transformers import (
        BlipImageProcessor,
        InstructBlipConfig,
        InstructBlipForConditionalGeneration,
        InstructBlipProcessor,
    )

    tokens, second = tokenizer(), tokenizer()
    images = BlipImageProcessor(size={"height": TILE, "width": TILE})
    processor = InstructBlipProcessor(images, tokens, second, num_query_tokens=4)
    config = InstructBlipConfig(
        vision_config={**SIGLIP}, text_config=_opt(tokens), num_query_tokens=4,
        qformer_config={
            **QFORMER, "model_type": "instructblip_qformer", "vocab_size": len(second), "max_position_embeddings": 48,
        },
        image_token_index=number(tokens, "<image>"),
    )  # fmt: skip
    save(folder, InstructBlipForConditionalGeneration(config), processor)


def florence2(folder: Path) -> None:
    """An encoder and a decoder."""
    from transformers import CLIPImageProcessor, Florence2Config, Florence2ForConditionalGeneration, Florence2Processor

    tokens = tokenizer(image_token="<image>")
    images = CLIPImageProcessor(size={"height": TILE, "width": TILE}, do_center_crop=False)
    images.image_seq_length = 5  # 2 x 2 places and their mean
    processor = Florence2Processor(images, tokens)
    vision = {
        "embed_dim": [8, 16], "depths": [1, 1], "num_heads": [2, 2], "num_groups": [2, 2], "patch_size": [7, 3],
        "patch_stride": [8, 2], "patch_padding": [3, 1], "patch_prenorm": [False, True], "window_size": 4,
        "projection_dim": 32, "max_temporal_embeddings": 4, "max_position_embeddings": 8,
    }  # fmt: skip
    text = {
        "model_type": "bart", "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 256,
        "decoder_start_token_id": 2, "forced_eos_token_id": 2, **ids(tokens),
    }  # fmt: skip
    config = Florence2Config(
        text_config=text, vision_config=vision, image_token_id=number(tokens, "<image>"), is_encoder_decoder=True
    )
    save(folder, Florence2ForConditionalGeneration(config), processor)


def phi4_multimodal(folder: Path) -> None:
    """Listed by transformers among causal models; it hears as well."""
    from transformers import (
        Phi4MultimodalConfig,
        Phi4MultimodalFeatureExtractor,
        Phi4MultimodalForCausalLM,
        Phi4MultimodalImageProcessor,
        Phi4MultimodalProcessor,
    )

    tokens = tokenizer(image_token="<image>", audio_token="<|video_pad|>")
    images = Phi4MultimodalImageProcessor(dynamic_hd=1)  # crops are of 448 pixels, whatever the size says
    processor = Phi4MultimodalProcessor(
        images, Phi4MultimodalFeatureExtractor(), tokens, chat_template=template("<image>")
    )
    vision = {**TEXT, "image_token_id": number(tokens, "<image>")}
    audio = {
        "hidden_size": 32, "intermediate_size": 64, "num_blocks": 2, "num_attention_heads": 2,
        "ext_pw_out_channel": 32, "depthwise_separable_out_channel": 32, "nemo_conv_channels": 32,
        "audio_token_id": number(tokens, "<|video_pad|>"),
    }  # fmt: skip
    text = {**TEXT, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT, **ids(tokens)}
    config = Phi4MultimodalConfig(**text, vision_config=vision, audio_config=audio)
    save(folder, Phi4MultimodalForCausalLM(config), processor)


def _opt(tokens: Any) -> dict[str, Any]:
    return {
        "model_type": "opt", "hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "word_embed_proj_dim": 32, "max_position_embeddings": 512, **ids(tokens),
    }  # fmt: skip


FAMILIES: dict[str, Callable[[Path], None]] = {
    build.__name__: build
    for build in (
        llava, llava_next, qwen2_vl, qwen2_5_vl, qwen3_vl, internvl, smolvlm, phi4_multimodal, blip_2, instructblip,
        florence2,
    )
}  # fmt: skip


def build(name: str, folder: Path) -> Path:
    """The checkpoint of one of `FAMILIES`, the same at each call, saved to ``folder``, which is returned."""
    import_torch().manual_seed(0)
    FAMILIES[name](folder)
    return folder


def number(tokens: Any, token: str) -> int:
    return int(tokens.convert_tokens_to_ids(token))


def ids(tokens: Any) -> dict[str, int]:
    return {"vocab_size": len(tokens), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def save(folder: Path, model: Any, processor: Any) -> None:
    """Random weights with a spread, so that what is seen makes a difference to what is written."""
    torch = import_torch()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.02)
    model.generation_config.eos_token_id = 2
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
