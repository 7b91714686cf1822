"""Text encoders of random weights and tokenizers of single letters, for tiny pipelines."""

from __future__ import annotations

import string
from typing import Any

from tiny import byte_letters
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralImageProcessor,
    PixtralProcessor,
    PixtralVisionConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3Config,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    T5EncoderModel,
    T5Tokenizer,
)

PARTS = "{% for message in messages %}{{ message.content[0].text }}\n{% endfor %}"
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


def t5(width: int, encoder: Any = T5EncoderModel) -> dict[str, Any]:
    """Encoder and tokenizer; `encoder` may be UMT5's."""
    specials = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -2.0)]
    pieces = [*specials, *((letter, -3.0) for letter in string.ascii_lowercase)]
    config = encoder.config_class(
        vocab_size=len(pieces), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    return {
        "encoder": encoder(config).eval(),
        "tokenizer": T5Tokenizer(vocab=pieces, extra_ids=0),
    }


def gemma(width: int) -> dict[str, Any]:
    """It knows three letters only, so that Sana's long instruction is short."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    vocabulary = {piece: i for i, piece in enumerate([*specials, *"cdg"])}
    config = Gemma2Config(
        vocab_size=len(vocabulary),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    return {
        "encoder": Gemma2Model(config).eval(),
        "tokenizer": GemmaTokenizer(vocab=vocabulary, merges=[]),
    }


def mistral3(width: int, layers: int) -> dict[str, Any]:
    """It sees, too, as FLUX.2's; its tokenizer is a processor of text and pictures."""
    specials = ["<pad>", "[IMG]", "[IMG_BREAK]", "[IMG_END]"]
    vocabulary = {piece: i for i, piece in enumerate([*specials, *byte_letters()])}
    text = MistralConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    vision = PixtralVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, head_dim=8
    )
    config = Mistral3Config(text_config=text, vision_config=vision, image_token_index=1)
    return {
        "encoder": Mistral3ForConditionalGeneration(config).eval(),
        "tokenizer": PixtralProcessor(
            PixtralImageProcessor(), _letters(vocabulary), chat_template=PARTS
        ),
    }


def _letters(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    """Of GPT-2's letters without a merge."""
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")


def qwen3(width: int, encoder: Any = Qwen3Model, layers: int = 2) -> dict[str, Any]:
    vocabulary = {piece: i for i, piece in enumerate(["<|endoftext|>", *byte_letters()])}
    config = Qwen3Config(
        vocab_size=len(vocabulary),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    return {
        "encoder": encoder(config).eval(),
        "tokenizer": Qwen2Tokenizer(vocab=vocabulary, merges=[], chat_template=TEMPLATE),
    }


def qwen2_vl(width: int) -> dict[str, Any]:
    """It sees, too."""
    vocabulary = {piece: i for i, piece in enumerate(["<|endoftext|>", *byte_letters()])}
    text = {
        "vocab_size": len(vocabulary),
        "hidden_size": width,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
        "bos_token_id": None,
        "eos_token_id": 0,
    }
    vision = {
        "depth": 1,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_heads": 1,
        "out_hidden_size": width,
        "fullatt_block_indexes": [0],
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return {
        "encoder": Qwen2_5_VLForConditionalGeneration(config).eval(),
        "tokenizer": Qwen2Tokenizer(vocab=vocabulary, merges=[]),
    }


def qwen3_vl(width: int) -> dict[str, Any]:
    """It sees, too; its tokenizer is in a processor of text and pictures."""
    specials = ["<|endoftext|>", "<|image_pad|>", "<|video_pad|>"]
    specials += ["<|vision_start|>", "<|vision_end|>"]
    vocabulary = {piece: i for i, piece in enumerate([*specials, *byte_letters()])}
    text = {
        "vocab_size": len(vocabulary),
        "hidden_size": width,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
    }
    vision = {
        "depth": 1,
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_heads": 1,
        "out_hidden_size": width,
        "deepstack_visual_indexes": [],
    }
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary, merges=[], additional_special_tokens=specials[1:], chat_template=PARTS
    )
    config = Qwen3VLConfig(text_config=text, vision_config=vision)
    return {
        "encoder": Qwen3VLForConditionalGeneration(config).eval(),
        "processor": Qwen3VLProcessor(
            Qwen2VLImageProcessor(), tokenizer, Qwen3VLVideoProcessor(), chat_template=PARTS
        ),
    }
