"""ImageReward's state dict as transformers' BLIP: the same network under other names.

Source of the names: salesforce/BLIP, `models/vit.py` (timm's ViT) and `models/med.py` (BERT with
cross attention). What no shape tells is BLIP-L's: heads of 64 dimensions, epsilons 1e-6 and 1e-12.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from sipo.feedback.scorers.base import LinearHead

if TYPE_CHECKING:
    from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

HEAD = 64

_TOWER = (
    ("blocks.", "encoder.layers."),
    ("attn.qkv.", "self_attn.qkv."),
    ("attn.proj.", "self_attn.projection."),
    ("norm1.", "layer_norm1."),
    ("norm2.", "layer_norm2."),
    ("patch_embed.proj.", "embeddings.patch_embedding."),
)
_TOWER_WHOLE = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "norm.weight": "post_layernorm.weight",
    "norm.bias": "post_layernorm.bias",
}


def blip_from_image_reward(
    tensors: Mapping[str, Tensor], where: str | Path
) -> tuple[BlipVisionModel, BlipTextModel, LinearHead]:
    """(image tower, text reader, head), float32. Raises ValueError where they are not in there."""
    from transformers import BlipTextModel, BlipVisionModel

    tower_tensors = rename_tower(_under("blip.visual_encoder.", tensors))
    reader_tensors = _under("blip.text_encoder.", tensors)
    reader_tensors.pop("embeddings.position_ids", None)  # a buffer that only counts
    try:
        tower = BlipVisionModel(_tower_config(tower_tensors))
        reader = BlipTextModel(_reader_config(reader_tensors), add_pooling_layer=False)
        head = LinearHead(reader.config.hidden_size)
        tower.load_state_dict(tower_tensors)
        reader.load_state_dict(reader_tensors)
        head.load_state_dict(_under("mlp.", tensors))
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()[:120]
        raise ValueError(
            f"judge weights {str(where)!r} are no ImageReward ({reason}); give ImageReward.pt"
        ) from None
    return tower, reader, head


def rename_tower(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's names of a ViT as transformers' BLIP has them."""
    renamed = {}
    for name, tensor in tensors.items():
        new = _TOWER_WHOLE.get(name, name)
        if name not in _TOWER_WHOLE:
            for old, ours in _TOWER:
                new = new.replace(old, ours)
        renamed[new] = tensor
    return renamed


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t.float() for n, t in tensors.items() if n.startswith(prefix)}


def _tower_config(tensors: Mapping[str, Tensor]) -> BlipVisionConfig:
    from transformers import BlipVisionConfig

    patches = tensors["embeddings.patch_embedding.weight"]  # (width, 3, P, P)
    positions = tensors["embeddings.position_embedding"].shape[1]
    return BlipVisionConfig(
        hidden_size=patches.shape[0],
        intermediate_size=len(tensors["encoder.layers.0.mlp.fc1.bias"]),
        num_hidden_layers=sum(name.endswith("layer_norm1.weight") for name in tensors),
        num_attention_heads=patches.shape[0] // HEAD,
        image_size=round((positions - 1) ** 0.5) * patches.shape[-1],
        patch_size=patches.shape[-1],
        layer_norm_eps=1e-6,
    )


def _reader_config(tensors: Mapping[str, Tensor]) -> BlipTextConfig:
    from transformers import BlipTextConfig

    words = tensors["embeddings.word_embeddings.weight"]  # (words, width)
    key = tensors["encoder.layer.0.crossattention.self.key.weight"]  # (width, tower's width)
    return BlipTextConfig(
        vocab_size=len(words),
        hidden_size=words.shape[1],
        encoder_hidden_size=key.shape[1],
        intermediate_size=len(tensors["encoder.layer.0.intermediate.dense.bias"]),
        num_hidden_layers=sum(n.endswith("attention.self.key.bias") for n in tensors) // 2,
        num_attention_heads=words.shape[1] // HEAD,
        max_position_embeddings=len(tensors["embeddings.position_embeddings.weight"]),
        layer_norm_eps=1e-12,
        bos_token_id=None,
        sep_token_id=None,
        is_decoder=True,  # gives its layers the cross attention; the mask stays bidirectional
    )
