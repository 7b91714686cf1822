"""What `generate` costs beside sampling and judging: time and memory at 1, 10 and 100 times as many
prompts, with a sampler and a judge that cost next to nothing.

    python benchmarks/growth.py [--prompts 64] [--candidates 4] [--times 1 10 100]

Each size is a process of its own; time is that of the run, without imports and the model's load.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import MethodType


def run(prompts: int, candidates: int) -> dict[str, float]:
    """In this process; seconds, and the greatest resident memory before and after, MiB."""
    import torch
    from PIL import Image

    from sipo.backbones.base import Backbone, Generated, Sampler
    from sipo.backbones.registry import load_backbone
    from sipo.datagen.generation.run import generate
    from sipo.datagen.settings import GenerateSettings
    from sipo.feedback.fake import FakeJudge
    from sipo.feedback.prompts.prompt import plain_text

    backbone = load_backbone("mini-sd")
    encoded = backbone.encode_prompts([""])
    latents = torch.zeros(4, 16, 16)

    def sample(
        self: Backbone, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler
    ) -> list[Generated]:
        """One colour a seed."""
        colors = [(seed % 256, seed // 256 % 256, seed // 65536 % 256) for seed in seeds]
        return [Generated(Image.new("RGB", (64, 64), color), latents) for color in colors]

    def encode(self: Backbone, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        return {
            name: tensor.repeat(len(texts), *[1] * (tensor.ndim - 1))
            for name, tensor in encoded.items()
        }

    backbone.sample = MethodType(sample, backbone)  # type: ignore[method-assign]
    backbone.encode_prompts = MethodType(encode, backbone)  # type: ignore[method-assign]
    asked = [plain_text(f"a picture of {number}") for number in range(prompts)]
    with tempfile.TemporaryDirectory() as root:
        out = Path(root) / "shards"
        settings = GenerateSettings(candidates=candidates, out=out, judge="fake", workers=1)
        before, began = peak_mib(), time.monotonic()
        made = generate(settings, asked, backbone, FakeJudge(), progress=False)
        seconds = time.monotonic() - began
    return {"pairs": made.pairs, "seconds": seconds, "before": before, "after": peak_mib()}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--times", type=int, nargs="+", default=(1, 10, 100))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(run(asked.prompts, asked.candidates)))
        return
    for times in asked.times:
        count = times * asked.prompts
        words = [sys.executable, __file__, "--one", f"--prompts={count}"]
        words += [f"--candidates={asked.candidates}"]
        found = subprocess.run(words, check=True, capture_output=True, text=True)
        row = json.loads(found.stdout.splitlines()[-1])
        each = 1000 * row["seconds"] / count
        grown = row["after"] - row["before"]
        print(
            f"{count:8} prompts {row['seconds']:8.1f} s {each:7.2f} ms a prompt, "
            f"{row['pairs']:7} pairs, {row['after']:6.0f} MiB at most, {grown:5.0f} of them its own"
        )


if __name__ == "__main__":
    main()
