"""Real judge models of random weights, small enough for tests, saved as their loaders want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny import byte_letters, clip_tokenizer
from torch import Tensor
from transformers import (
    AutoConfig,
    BertTokenizer,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    Mask2FormerConfig,
    Mask2FormerImageProcessor,
    Mask2FormerModel,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLImageProcessor,
    Qwen2VLModel,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    SwinConfig,
)

from sipo.feedback.detectors.mask2former import Segmenter

WORDS = 514  # of tests' CLIP tokenizer; the last two begin and end a text
SIDE_PX = 32
LABELS = ("cat", "dog", "mouse")
SPOKEN = ("yes", "Yes", "two", "Two", "no")  # words that the tiny language model has whole
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
_SPECIAL += ("<|image_pad|>", "<|video_pad|>")
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
_TOWER |= {"num_attention_heads": 4}
_TEXT = _TOWER | {"vocab_size": WORDS, "bos_token_id": WORDS - 2, "eos_token_id": WORDS - 1}


def tiny_clip(folder: Path, activation: str = "quick_gelu", dimensions: int = 16) -> Path:
    torch.manual_seed(0)
    text = _TEXT | {"max_position_embeddings": 77, "hidden_act": activation}
    vision = _TOWER | {"image_size": SIDE_PX, "patch_size": 8, "hidden_act": activation}
    text |= {"projection_dim": dimensions}  # what the text tower alone is built from
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=dimensions)
    CLIPModel(config).save_pretrained(folder)
    return tiny_clip_processor(folder)


def tiny_clip_processor(folder: Path) -> Path:
    clip_tokenizer(folder / "source").save_pretrained(folder)
    square = {"height": SIDE_PX, "width": SIDE_PX}
    CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=square).save_pretrained(folder)
    return folder


def tiny_owlv2(folder: Path) -> Path:
    torch.manual_seed(0)
    vision = _TOWER | {"image_size": 64, "patch_size": 16}
    text = _TEXT | {"max_position_embeddings": 32}
    model = Owlv2ForObjectDetection(
        Owlv2Config(text_config=text, vision_config=vision, projection_dim=32)
    )
    model.save_pretrained(folder)
    tokenizer = clip_tokenizer(folder / "source")
    tokenizer.model_max_length = 32
    images = Owlv2ImageProcessor(size={"height": 64, "width": 64})
    Owlv2Processor(images, tokenizer).save_pretrained(folder)
    return folder


def tiny_mask2former(folder: Path) -> Path:
    torch.manual_seed(0)
    swin = SwinConfig(
        image_size=64,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=swin,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        dim_feedforward=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        id2label=dict(enumerate(LABELS)),
        label2id={name: i for i, name in enumerate(LABELS)},
    )
    model = Segmenter(Mask2FormerModel(config))
    config.save_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    size = {"shortest_edge": 48, "longest_edge": 80}
    Mask2FormerImageProcessor(size=size).save_pretrained(folder)
    return folder


def tiny_vlm(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = _speaking_tokenizer()
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2}
    vision |= {"out_hidden_size": 32, "fullatt_block_indexes": [1], "window_size": 56}
    config = Qwen2_5_VLConfig(vision_config=vision, **_reading(tokenizer))
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    _vision_processor(Qwen2_5_VLProcessor, tokenizer).save_pretrained(folder)
    return folder


def tiny_qwen2_vl(folder: Path) -> Path:
    """Configuration and processor alone, as a judge that was made of it wants them."""
    tokenizer = _speaking_tokenizer()
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2}
    Qwen2VLConfig(vision_config=vision, **_reading(tokenizer)).save_pretrained(folder)
    _vision_processor(Qwen2VLProcessor, tokenizer).save_pretrained(folder)
    return folder


def qwen2_vl_tensors(base: Path, tokens: int, head: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict as transformers 4.45 wrote one, with a reward head; `tokens` words more."""
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(base)
    config.text_config.vocab_size += tokens
    body = Qwen2VLModel(config).state_dict()
    old = {name.replace("language_model.", "model."): 3 * tensor for name, tensor in body.items()}
    old["lm_head.weight"] = old["model.embed_tokens.weight"].clone()
    return old | {f"rm_head.{name}": tensor for name, tensor in head.items()}


def _reading(tokenizer: Any) -> dict[str, Any]:
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in _SPECIAL}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
    text = _TOWER | {"vocab_size": len(tokenizer), "num_key_value_heads": 2}
    text |= {"rope_parameters": rope, "bos_token_id": ids["<|endoftext|>"]}
    return {
        "text_config": text | {"eos_token_id": ids["<|im_end|>"]},
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }


def _vision_processor(kind: Any, tokenizer: Any) -> Any:
    pixels = {"shortest_edge": 28 * 28, "longest_edge": 56 * 56}
    images, videos = Qwen2VLImageProcessor(size=pixels), Qwen2VLVideoProcessor(size=pixels)
    return kind(images, tokenizer, videos, chat_template=_TEMPLATE)


def tiny_bert_tokenizer(folder: Path) -> Path:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    return folder


def open_clip_tensors(seed: int = 0) -> dict[str, Tensor]:
    """A state dict as open_clip writes one: widths 160 and 128, 8 px patches of SIDE_PX."""
    make = _Maker(seed)
    patches = (SIDE_PX // 8) ** 2
    tensors = {
        "visual.class_embedding": make(160),
        "visual.positional_embedding": make(1 + patches, 160),
        "visual.conv1.weight": make(160, 3, 8, 8),
        "visual.proj": make(160, 16),
        "token_embedding.weight": make(WORDS, 128),
        "positional_embedding": make(77, 128),
        "text_projection": make(128, 16),
        "logit_scale": torch.tensor(4.6),
    }
    for norm, width in (("visual.ln_pre", 160), ("visual.ln_post", 160), ("ln_final", 128)):
        tensors |= make.norm(norm, width)
    for tower, width in (("visual.transformer", 160), ("transformer", 128)):
        for layer in range(2):
            tensors |= _block(make, f"{tower}.resblocks.{layer}", width)
    return tensors


def image_reward_tensors(seed: int = 0) -> dict[str, Tensor]:
    """A state dict as ImageReward writes one: a ViT of width 64, a reader of width 128."""
    make = _Maker(seed)
    eye, reader = "blip.visual_encoder", "blip.text_encoder"
    tensors = {
        f"{eye}.cls_token": make(1, 1, 64),
        f"{eye}.pos_embed": make(1, 1 + (SIDE_PX // 8) ** 2, 64),
        f"{reader}.embeddings.word_embeddings.weight": make(60, 128),
        f"{reader}.embeddings.position_embeddings.weight": make(40, 128),
        f"{reader}.embeddings.position_ids": torch.arange(40)[None],
        f"{eye}.patch_embed.proj.weight": make(64, 3, 8, 8),
        f"{eye}.patch_embed.proj.bias": make(64),
        "blip.vision_proj.weight": make(8, 64),  # of pretraining; not used
    }
    tensors |= make.norm(f"{eye}.norm", 64) | make.norm(f"{reader}.embeddings.LayerNorm", 128)
    for layer in range(2):
        block = f"{eye}.blocks.{layer}"
        for norm in ("norm1", "norm2"):
            tensors |= make.norm(f"{block}.{norm}", 64)
        tensors |= make.linear(f"{block}.attn.qkv", 64, 192)
        tensors |= make.linear(f"{block}.attn.proj", 64, 64)
        tensors |= make.linear(f"{block}.mlp.fc1", 64, 128) | make.linear(
            f"{block}.mlp.fc2", 128, 64
        )
        block = f"{reader}.encoder.layer.{layer}"
        for kind, seen in (("attention", 128), ("crossattention", 64)):
            tensors |= make.linear(f"{block}.{kind}.self.query", 128, 128)
            tensors |= make.linear(f"{block}.{kind}.self.key", seen, 128)
            tensors |= make.linear(f"{block}.{kind}.self.value", seen, 128)
            tensors |= make.linear(f"{block}.{kind}.output.dense", 128, 128)
            tensors |= make.norm(f"{block}.{kind}.output.LayerNorm", 128)
        tensors |= make.linear(f"{block}.intermediate.dense", 128, 256)
        tensors |= make.linear(f"{block}.output.dense", 256, 128)
        tensors |= make.norm(f"{block}.output.LayerNorm", 128)
    return tensors | {f"mlp.{n}": t for n, t in head_tensors(128, seed).items()}


def head_tensors(width: int, seed: int = 0) -> dict[str, Tensor]:
    """The published heads' names: dropouts have numbers there too."""
    make = _Maker(seed)
    tensors = {}
    sizes = (width, 1024, 128, 64, 16, 1)
    for number, i, o in zip((0, 2, 4, 6, 7), sizes, sizes[1:], strict=False):
        tensors |= make.linear(f"layers.{number}", i, o)
    return tensors


class _Maker:
    """Random tensors of the sizes that trained ones have, from one generator."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> Tensor:
        return 0.2 * torch.randn(*shape, generator=self._generator)

    def linear(self, name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
        weight = self(outputs, inputs) * 5 / inputs**0.5
        return {f"{name}.weight": weight, f"{name}.bias": self(outputs)}

    def norm(self, name: str, width: int) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + self(width), f"{name}.bias": self(width)}


def _block(make: _Maker, name: str, width: int) -> dict[str, Tensor]:
    joint = make.linear("", width, 3 * width)
    return {
        **make.norm(f"{name}.ln_1", width),
        **make.norm(f"{name}.ln_2", width),
        f"{name}.attn.in_proj_weight": joint[".weight"],
        f"{name}.attn.in_proj_bias": joint[".bias"],
        **make.linear(f"{name}.attn.out_proj", width, width),
        **make.linear(f"{name}.mlp.c_fc", width, 2 * width),
        **make.linear(f"{name}.mlp.c_proj", 2 * width, width),
    }


def _speaking_tokenizer() -> Any:
    """Byte level, with SPOKEN as whole words, with and without a space before; digits alone."""
    merges: list[tuple[str, str]] = []
    for word in SPOKEN:
        merges += [(word[:i], word[i]) for i in range(1, len(word))]
    merges += [("Ġ", word) for word in SPOKEN]
    merges = list(dict.fromkeys(merges))
    words = [*byte_letters(), *("".join(merge) for merge in merges)]
    tokenizer = Qwen2Tokenizer({word: i for i, word in enumerate(words)}, merges)
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL)})
    return tokenizer
