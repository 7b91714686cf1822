"""What the judges cost: FLOPs of the published models, seconds of the tiny ones.

    python benchmarks/judges.py [--seconds | --colour]

FLOPs are counted on the meta device, where a model has shapes and no weights, for one image and one
prompt (a multiply and an add are two); Mask2Former's by running it once on the CPU, half a minute.
Configurations are those of the published checkpoints as their papers and cards give them; no
weights are needed. --seconds measures, on this machine, what one image takes the tiny models of
the tests: the cost of everything but the network. --colour measures the CPU milliseconds (median,
least) that the pixel colour of a 512 x 512 box takes in a 1024 px image of noise.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[1]
QUESTIONS = 3  # of a prompt with two coloured objects or a relation: three or four
IMAGE_TOKENS = 324  # of a 512 x 512 image in Qwen2.5-VL: (504 / 28)²
TEXT_TOKENS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", action="store_true", help="Measure the tiny judges instead.")
    parser.add_argument("--colour", action="store_true", help="Measure a box's pixel colour.")
    asked = parser.parse_args()
    measured = seconds() if asked.seconds else colour() if asked.colour else flops()
    print(json.dumps(measured, indent=2))


def flops() -> dict[str, float]:
    """Name -> 1e9 FLOPs an image."""
    return {name: round(count(*make()) / 1e9, 1) for name, make in FULL.items()}


def count(*calls: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for call in calls:
            call()
    return int(counter.get_total_flops())


def clip(vision: dict[str, Any], text: dict[str, Any]) -> tuple[Callable[[], Any], ...]:
    """The image and one text of a CLIP."""
    from transformers import CLIPConfig, CLIPModel

    with torch.device("meta"):
        model: Any = CLIPModel(CLIPConfig(vision_config=vision, text_config=text))
        words, pixels = torch.zeros(1, 77, dtype=torch.long), torch.zeros(1, 3, 224, 224)
    return (
        lambda: model.get_image_features(pixel_values=pixels),
        lambda: model.get_text_features(input_ids=words),
    )


def vit(width: int, depth: int, heads: int, patch: int) -> dict[str, Any]:
    size = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": depth}
    return size | {"num_attention_heads": heads, "patch_size": patch}


def text_tower(width: int, depth: int, heads: int) -> dict[str, Any]:
    size = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": depth}
    return size | {"num_attention_heads": heads}


def clip_l() -> tuple[Callable[[], Any], ...]:
    return clip(vit(1024, 24, 16, 14), text_tower(768, 12, 12))


def clip_h() -> tuple[Callable[[], Any], ...]:
    return clip(vit(1280, 32, 16, 14), text_tower(1024, 24, 16))


def image_reward() -> tuple[Callable[[], Any], ...]:
    from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

    with torch.device("meta"):
        eye: Any = BlipVisionModel(BlipVisionConfig(image_size=224, **vit(1024, 24, 16, 16)))
        config = BlipTextConfig(encoder_hidden_size=1024, num_attention_heads=12)
        reader: Any = BlipTextModel(config, add_pooling_layer=False)
        words, pixels = torch.zeros(1, 35, dtype=torch.long), torch.zeros(1, 3, 224, 224)
        seen = torch.zeros(1, 197, 1024)
    return (
        lambda: eye(pixel_values=pixels),
        lambda: reader(input_ids=words, encoder_hidden_states=seen),
    )


def owlv2() -> tuple[Callable[[], Any], ...]:
    """Base, 960 px, the 80 classes of GenEval."""
    from transformers import Owlv2Config, Owlv2ForObjectDetection

    with torch.device("meta"):
        config = Owlv2Config(vision_config={"image_size": 960}, text_config={})
        model: Any = Owlv2ForObjectDetection(config)
        words, pixels = torch.zeros(80, 16, dtype=torch.long), torch.zeros(1, 3, 960, 960)
    return (
        lambda: model.image_embedder(pixels),
        lambda: model.owlv2.get_text_features(input_ids=words),
    )


def mask2former() -> tuple[Callable[[], Any], ...]:
    """Swin-S, 100 queries, a square image of 800 px; of random weights, since its masks steer it.

    The bilinear reads of its deformable attention, some 2e9, are not counted.
    """
    from transformers import Mask2FormerConfig, Mask2FormerModel, SwinConfig

    from sipo.feedback.detectors.mask2former import Segmenter

    swin = SwinConfig(
        embed_dim=96,
        depths=[2, 2, 18, 2],
        num_heads=[3, 6, 12, 24],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    labels = {number: str(number) for number in range(80)}
    config = Mask2FormerConfig(backbone_config=swin, num_queries=100, id2label=labels)
    model = Segmenter(Mask2FormerModel(config)).eval()
    pixels, inside = torch.zeros(1, 3, 800, 800), torch.ones(1, 800, 800, dtype=torch.long)
    return (lambda: model(pixels, inside),)


def yolo_world() -> tuple[Callable[[], Any], ...]:
    """x, 640 px, 80 classes whose embeddings are at hand."""
    from sipo.feedback.detectors.yolo_world import quiet_ultralytics

    quiet_ultralytics()
    from ultralytics.nn.tasks import WorldModel

    model: Any = WorldModel("yolov8x-worldv2.yaml", nc=80, verbose=False).eval().to("meta")
    model.model[-1].stride = torch.tensor([8.0, 16.0, 32.0])  # read as numbers
    with torch.device("meta"):
        pixels, texts = torch.zeros(1, 3, 640, 640), torch.zeros(1, 80, 512)
    return (lambda: model(pixels, txt_feats=texts),)


def qwen() -> tuple[Callable[[], Any], ...]:
    """Qwen2.5-VL-7B: the language model over the image's and a question's tokens, three times.

    Its eye (0.7e9 parameters on 4 x 324 patches) is counted as two FLOPs a parameter and patch.
    """
    from transformers import Qwen2_5_VLTextConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

    size = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    heads = {"num_attention_heads": 28, "num_key_value_heads": 4, "rope_parameters": rope}
    with torch.device("meta"):
        model: Any = Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**size, **heads))
        seen = torch.zeros(QUESTIONS, IMAGE_TOKENS + TEXT_TOKENS, 3584)
        eye = torch.zeros(QUESTIONS * 4 * IMAGE_TOKENS, 26_000)
        parameters = torch.zeros(26_000, 26_000)  # 0.68e9
    return (lambda: model(inputs_embeds=seen, use_cache=False), lambda: eye @ parameters)


FULL = {
    "yolo-world": yolo_world,
    "owlv2": owlv2,
    "mask2former": mask2former,
    "clip colour of one box": lambda: clip_l()[:1],
    "pickscore, hpsv2, hpsv2.1": clip_h,
    "image-reward": image_reward,
    "aesthetic": lambda: clip_l()[:1],
    "vlm": qwen,
}
"""Name -> what is called for one image."""


def seconds(images: int = 8) -> dict[str, float]:
    """Name -> seconds an image, of the tests' tiny judges."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "feedback")]
    import tiny_judges as tiny

    from sipo.feedback.prompts.grammar import two_object
    from sipo.feedback.registry import load_judge

    seen = [Image.new("RGB", (512, 512), (50, 90, 20 * i)) for i in range(images)]
    asked = [two_object("cat", "dog")] * images
    taken = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        clip_folder = tiny.tiny_clip(root / "clip")
        bert = tiny.tiny_bert_tokenizer(root / "bert")
        torch.save(tiny.open_clip_tensors(), root / "hps.pt")
        torch.save(tiny.image_reward_tensors(), root / "reward.pt")
        torch.save(tiny.head_tensors(16), root / "head.pth")
        weights = {
            "yolo-world": None,
            "owlv2": tiny.tiny_owlv2(root / "owlv2"),
            "mask2former": tiny.tiny_mask2former(root / "mask2former"),
            "vlm": tiny.tiny_vlm(root / "vlm"),
            "pickscore": clip_folder,
            "hpsv2": root / "hps.pt",
            "image-reward": root / "reward.pt",
            "aesthetic": root / "head.pth",
        }
        settings = {
            "mask2former": {"color_weights": str(clip_folder)},
            "hpsv2": {"processor": str(clip_folder)},
            "image-reward": {"tokenizer": str(bert)},
            "aesthetic": {"clip": str(clip_folder)},
        }
        for name, path in weights.items():
            judge = load_judge(name, path, ("cat", "dog"), settings)
            judge.judge(seen[:1], asked[:1])
            began = time.perf_counter()
            verdicts = judge.judge(seen, asked)
            taken[name] = round((time.perf_counter() - began) / images, 4)
            assert not any(verdict.failed for verdict in verdicts), verdicts[0].failure
    return taken


def colour(times: int = 200) -> dict[str, float]:
    from sipo.feedback.detectors.color import PixelColor
    from sipo.feedback.rule.boxes import Box

    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    image, box = Image.fromarray(noise), Box("bus", 1.0, (200.0, 200.0, 712.0, 712.0))
    taken = []
    for _ in range(times):
        began = time.thread_time()
        PixelColor().name(image, box)
        taken.append(1000 * (time.thread_time() - began))
    return {"median_ms": round(median(taken), 2), "least_ms": round(min(taken), 2)}


if __name__ == "__main__":
    main()
