"""open_clip's state dict as transformers' CLIPModel: the same network under other names.

Source of the names: mlfoundations/open_clip, `model.py` and `transformer.py`. What no shape tells
is ViT-H/14's: heads of 80 (images) and 64 (texts) dimensions, the exact GELU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from transformers import CLIPConfig, CLIPModel

IMAGE_HEAD, TEXT_HEAD = 80, 64
ACTIVATION = "gelu"

_WHOLE = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
_NORMS = {
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
    "ln_final": "text_model.final_layer_norm",
}
_INSIDE = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")


def clip_from_open_clip(tensors: Mapping[str, Tensor], where: str | Path) -> CLIPModel:
    """A CLIPModel with these weights, float32. ValueError where they are no open_clip CLIP."""
    from transformers import CLIPModel

    try:
        model = CLIPModel(_config(tensors))
        model.load_state_dict(rename(tensors))
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()[:120]
        raise ValueError(
            f"judge weights {str(where)!r} are no open_clip ViT ({reason}); give the official file"
        ) from None
    return model.eval()


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of transformers, each tensor once; the attention's joint projection in three."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if block := _BLOCK.fullmatch(name):
            tower = "vision_model" if block[1] else "text_model"
            renamed |= _block(f"{tower}.encoder.layers.{block[2]}", block[3], tensor)
        elif name in _WHOLE:
            turned = name in ("visual.proj", "text_projection")  # (width, D) there, (D, width) here
            renamed[_WHOLE[name]] = tensor.float().T.contiguous() if turned else tensor.float()
        elif stem in _NORMS:
            renamed[f"{_NORMS[stem]}.{kind}"] = tensor.float()
    return renamed


def _block(layer: str, name: str, tensor: Tensor) -> dict[str, Tensor]:
    if name.startswith("attn.in_proj_"):
        kind = name.removeprefix("attn.in_proj_")
        parts = zip("qkv", tensor.float().chunk(3), strict=True)
        return {f"{layer}.self_attn.{p}_proj.{kind}": part.clone() for p, part in parts}
    stem, _, kind = name.rpartition(".")
    return {f"{layer}.{_INSIDE[stem]}.{kind}": tensor.float()}


def _config(tensors: Mapping[str, Tensor]) -> CLIPConfig:
    from transformers import CLIPConfig

    patches = tensors["visual.conv1.weight"]  # (width, 3, P, P)
    positions = tensors["visual.positional_embedding"]  # (1 + side², width)
    words = tensors["token_embedding.weight"]  # (words, width)
    vision_width, text_width = patches.shape[0], words.shape[1]
    vision = {
        "hidden_size": vision_width,
        "intermediate_size": len(tensors["visual.transformer.resblocks.0.mlp.c_fc.bias"]),
        "num_hidden_layers": _depth(tensors, "visual.transformer."),
        "num_attention_heads": vision_width // IMAGE_HEAD,
        "patch_size": patches.shape[-1],
        "image_size": round((len(positions) - 1) ** 0.5) * patches.shape[-1],
        "hidden_act": ACTIVATION,
    }
    text = {
        "vocab_size": len(words),
        "hidden_size": text_width,
        "intermediate_size": len(tensors["transformer.resblocks.0.mlp.c_fc.bias"]),
        "num_hidden_layers": _depth(tensors, "transformer."),
        "num_attention_heads": text_width // TEXT_HEAD,
        "max_position_embeddings": len(tensors["positional_embedding"]),
        "hidden_act": ACTIVATION,
        "bos_token_id": len(words) - 2,
        "eos_token_id": len(words) - 1,  # the last word ends a text, there and in the tokenizer
    }
    dimensions = tensors["text_projection"].shape[1]
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=dimensions)


def _depth(tensors: Mapping[str, Tensor], tower: str) -> int:
    return sum(n.startswith(f"{tower}resblocks.") and n.endswith("ln_1.weight") for n in tensors)
