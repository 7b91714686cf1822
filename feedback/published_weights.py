"""What published judges are called on the hub, and where other official files lie. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

CLIP_B = "openai/clip-vit-base-patch32"
"""The text encoder that YOLO-World was trained with."""
VIT_L = "openai/clip-vit-large-patch14"
VIT_H = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
MASK2FORMER = "facebook/mask2former-swin-small-coco-instance"
OWLV2 = "google/owlv2-base-patch16-ensemble"
PICKSCORE = "yuvalkirstain/PickScore_v1"
VLM = "Qwen/Qwen2.5-VL-7B-Instruct"
HPS = "xswu/HPSv2"
HPS_FILES = {"hpsv2": "HPS_v2_compressed.pt", "hpsv2.1": "HPS_v2.1_compressed.pt"}
IMAGE_REWARD, IMAGE_REWARD_FILE = "THUDM/ImageReward", "ImageReward.pt"
HPSV3, HPSV3_FILE, QWEN2_VL_7B = "MizzenAI/HPSv3", "HPSv3.safetensors", "Qwen/Qwen2-VL-7B-Instruct"
VIDEO_REWARD, VIDEO_REWARD_FILE = "KlingTeam/VideoReward", "checkpoint-11352/model.pth"
VIDEO_REWARD_CONFIG, QWEN2_VL_2B = "model_config.json", "Qwen/Qwen2-VL-2B-Instruct"
UNIFIED_REWARD = "CodeGoat24/UnifiedReward-2.0-qwen3vl-8b"
BERT = "google-bert/bert-base-uncased"

YOLO_FILES = tuple(f"yolov8{size}-worldv2.pt" for size in "smlx")
YOLO_RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0/"


def torch_cache() -> Path:
    """Where torch keeps files of no hub, as `torch.hub.get_dir` says it."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


@dataclass(frozen=True)
class Needs:
    """What a judge's loader looks for on the hub, where --judge-weights and settings name nothing
    else."""

    folder: str = ""  # a repository of weights
    file: tuple[str, str] | None = None  # a repository, and the one file of it
    beside: dict[str, str] = field(default_factory=dict)  # by setting: repositories without weights
    color: Literal["", "pixels", "clip"] = ""  # how it names colours by default; clip needs VIT_L


NEEDS = {
    "owlv2": Needs(OWLV2, color="pixels"),
    "mask2former": Needs(MASK2FORMER, color="clip"),
    "vlm": Needs(VLM),
    "pickscore": Needs(PICKSCORE),
    "hpsv2": Needs(file=(HPS, HPS_FILES["hpsv2"]), beside={"processor": VIT_H}),
    "hpsv2.1": Needs(file=(HPS, HPS_FILES["hpsv2.1"]), beside={"processor": VIT_H}),
    "image-reward": Needs(file=(IMAGE_REWARD, IMAGE_REWARD_FILE), beside={"tokenizer": BERT}),
    "hpsv3": Needs(file=(HPSV3, HPSV3_FILE), beside={"base": QWEN2_VL_7B}),
    "videoalign": Needs(file=(VIDEO_REWARD, VIDEO_REWARD_FILE), beside={"base": QWEN2_VL_2B}),
    "unified-reward": Needs(UNIFIED_REWARD),
}
"""Of the judges that have nothing embedded; YOLO-World's and aesthetics' rules are their own."""
