"""What to type after an evaluation, and after two were compared."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.command_words import command
from sipo.common.files.text import read_json
from sipo.common.files.urls import is_url
from sipo.geneval.evaluation_folder import CONFIG, SUMMARY
from sipo.geneval.settings import EvalSettings

if TYPE_CHECKING:
    from sipo.geneval.comparison.paired import Comparison

ALIKE = ("prompts", "images_per_prompt", "detector", "seeds", "sampler")
"""Of two evaluations that can be compared and differ in the policy, or in nothing."""


def after_evaluation(settings: EvalSettings) -> str:
    """Of a policy: the base's evaluation, or both compared where it is beside it. Of a base: pairs
    to train on. Of images that another judge has judged: how far the two agree."""
    out = settings.out
    if settings.images and (settings.images / SUMMARY).is_file():
        return command("sipo-geneval", "agree", settings.images, out)
    if settings.images:
        return command("sipo-geneval", "compare", out, "eval/another")
    if settings.weights is None:
        model = None if settings.backbone == "mini-sd" else settings.backbone
        return command("sipo-data", "generate", backbone=model, out="shards")
    if base := base_beside(out):
        return command("sipo-geneval", "compare", base, out)
    beside = out.with_name(f"{out.name}-base")
    return settings.model_copy(update={"weights": None, "out": beside}).command()


def base_beside(out: Path) -> Path | None:
    """An evaluation in the same place, of other weights of the same model, the oldest one."""
    if is_url(out) or not (out / CONFIG).is_file():
        return None
    ours = read_json(out / CONFIG)
    done = sorted(out.absolute().parent.glob(f"*/{SUMMARY}"), key=lambda path: path.stat().st_mtime)
    for folder in (path.parent for path in done if path.parent != out.absolute()):
        try:
            theirs = read_json(folder / CONFIG)
        except (OSError, ValueError):
            continue
        if all(theirs.get(name) == ours.get(name) for name in ALIKE):
            return out.parent / folder.name
    return None


def after_comparison(b: Path, found: Comparison) -> str:
    """Where B is a policy with a clear gain, a round from it; else what its training looked like;
    where nobody knows, people are asked."""
    weights = weights_of(b)
    if weights is None:
        return ""
    if found.overall.clear and found.overall.difference > 0:
        return command("sipo-data", "generate", weights=weights, out="shards-next")
    return command("sipo-train", "plot", weights)


def weights_of(evaluation: Path) -> str | None:
    """As its own command named them."""
    try:
        words = shlex.split(str(read_json(evaluation / SUMMARY).get("command", "")))
    except (OSError, ValueError):
        return None
    return words[words.index("--weights") + 1] if "--weights" in words[:-1] else None
