"""Sample, judge, count: one folder an evaluation. The same settings again continue it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipo.feedback.demands import check_prompts
from sipo.feedback.ensemble import require_company
from sipo.feedback.frames import FrameJudge
from sipo.feedback.judge import Judge, load_judge, vocabulary_of
from sipo.feedback.prompt import Prompt
from sipo.geneval import folder, layout
from sipo.geneval.rows import write_rows
from sipo.geneval.settings import EvalSettings, wanted_prompts

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone

Summary = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be judged: `root` holds the images, sampled there or found there."""

    prompts: list[Prompt]
    root: Path
    images_there: int

    @property
    def tags(self) -> dict[str, int]:
        """Prompts per tag."""
        names = [prompt.tag for prompt in self.prompts]
        return {tag: names.count(tag) for tag in dict.fromkeys(names)}


def plan(settings: EvalSettings, judge: Judge | None = None) -> Plan:
    """Everything that can be said and refused before a model is loaded, `judge` if not given."""
    work = _plan(settings)
    if judge is None:
        source = settings.prompts or settings.suite or settings.images or "mini"
        check_prompts(settings.judge, work.prompts, source, settings.judge_settings)
    return work


def _plan(settings: EvalSettings) -> Plan:
    settings.check()
    prompts = wanted_prompts(settings)
    if settings.images:
        found = layout.read_prompt_folders(settings.images)
        if prompts:
            layout.check_same_prompts(settings.images, found, prompts)
        suffix = layout.suffix_of(settings.images)
        layout.find_images(settings.images, found, settings.images_per_prompt, suffix)
        return Plan(found, settings.images, len(found) * settings.images_per_prompt)
    suffix = layout.suffix_of(settings.out)
    names = (
        layout.image_name(number, index, suffix)
        for number in range(len(prompts))
        for index in range(settings.images_per_prompt)
    )
    return Plan(prompts, settings.out, sum((settings.out / name).exists() for name in names))


def evaluate(
    settings: EvalSettings, backbone: Backbone | None = None, judge: Judge | None = None
) -> Summary:
    """Write images, `results.jsonl` and `summary.json` under `settings.out`; returns the summary.

    `backbone` and `judge` stand in for what the settings name (loaded already, or of one's own).
    Raises ValueError for missing images, other settings in the same folder, and unknown names.
    """
    work = plan(settings, judge)
    judge = judge or load_judge(
        settings.judge,
        settings.judge_weights,
        vocabulary_of(work.prompts),
        settings.judge_settings,
    )
    require_company(judge, settings.batch_size, settings.images_per_prompt)
    backbone = None if settings.images else backbone or _load(settings)
    clips = backbone.fps is not None if backbone else layout.suffix_of(work.root) == ".mp4"
    if clips:
        judge = FrameJudge(judge, settings.judged_frames, settings.frame_score)
    config = _config(settings, work, judge)
    if backbone:
        config |= _sample(settings, work, config, backbone)
    else:
        config |= _provenance(work.root)
        folder.hold(settings.out, config)
    suffix = ".mp4" if clips else ".png"
    images = layout.find_images(work.root, work.prompts, settings.images_per_prompt, suffix)
    return _score(settings, work, judge, config, [path for row in images for path in row])


def _config(settings: EvalSettings, work: Plan, judge: Judge) -> dict[str, Any]:
    from sipo.geneval.summary import prompts_sha256

    return {
        "suite": settings.suite or (None if settings.prompts or settings.images else "mini"),
        "prompts": {"count": len(work.prompts), "sha256": prompts_sha256(work.prompts)},
        "images_per_prompt": settings.images_per_prompt,
        "images": str(settings.images) if settings.images else None,
        "batch_size": settings.batch_size,
        "detector": judge.describe(),
    }


def _provenance(images: Path) -> dict[str, Any]:
    """What a folder of our own says of how its images were sampled; {} for others."""
    config = images / folder.CONFIG
    known = folder.read_json(config) if config.is_file() else {}
    return {key: known[key] for key in ("backbone", "sampler", "seeds") if key in known}


def _sample(
    settings: EvalSettings, work: Plan, config: dict[str, Any], backbone: Backbone
) -> dict[str, Any]:
    """Sample what is missing; returns what the images depend on."""
    from sipo.backbones.base import Sampler
    from sipo.backbones.workers import workers_for
    from sipo.feedback.devices import find_device
    from sipo.geneval.sampling import sample_images

    given = {"steps": settings.steps, "guidance": settings.guidance}
    overrides = {name: value for name, value in given.items() if value is not None}
    sampler = backbone.sized(Sampler(**(backbone.default_sampler.model_dump() | overrides)))
    described = backbone.describe()
    depends = {
        "backbone": described | {"name": Path(described["name"]).name},
        "sampler": sampler.model_dump(),
        "seeds": {"seed": settings.seed, "rule": "sha256(seed, prompt, index), first 63 bits"},
    }
    folder.hold(settings.out, config | depends)
    sample_images(
        backbone,
        sampler,
        work.prompts,
        settings.images_per_prompt,
        settings.seed,
        settings.batch_size,
        settings.out,
        workers_for(find_device(settings.device).type, settings.workers),
    )
    return depends


def _load(settings: EvalSettings) -> Backbone:
    from sipo.backbones.devices import place
    from sipo.backbones.registry import load_backbone
    from sipo.feedback.devices import find_device

    device = find_device(settings.device)
    backbone = load_backbone(
        settings.backbone, settings.weights, dtype=settings.dtype, quantize=settings.quantize
    )
    place(backbone, device, settings.offload)
    return backbone


def _score(
    settings: EvalSettings,
    work: Plan,
    judge: Judge,
    config: dict[str, Any],
    paths: Sequence[Path],
) -> Summary:
    """Judge and count, unless these very images have all been judged here already."""
    from sipo.geneval.judging import judge_images
    from sipo.geneval.summary import images_sha256, summarise, versions

    done, results = settings.out / folder.SUMMARY, settings.out / folder.RESULTS
    sha256 = images_sha256(paths)
    if done.exists() and results.exists():
        before = folder.read_json(done)
        if before["images_sha256"] == sha256 and not before["failures"]["images"]:
            return before
    asked = [prompt for prompt in work.prompts for _ in range(settings.images_per_prompt)]
    verdicts = judge_images(judge, paths, asked, settings.batch_size)
    names = [path.relative_to(work.root).as_posix() for path in paths]
    rows, numbers = summarise(names, asked, verdicts)
    write_rows(rows, results)
    summary = numbers | {
        "thresholds": config["detector"].get("thresholds"),
        **config,
        "images_sha256": sha256,
        "command": settings.command(),
        "versions": versions(),
    }
    folder.write_json(done, summary)
    return folder.read_json(done)
