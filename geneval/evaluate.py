"""Sample, judge, count: one folder an evaluation. The same settings again continue it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.backbones.loading.names import EMBEDDED_SUITES, is_embedded
from sipo.backbones.settings import sampler_settings
from sipo.common.files.leases import Leases
from sipo.common.files.locks import one_of_several
from sipo.common.files.url_leases import store_of
from sipo.common.own_processes import processes_for, run_processes
from sipo.feedback.ensemble import require_company
from sipo.feedback.frames import judge_for
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import load_judge, split_names, vocabulary_of
from sipo.geneval import evaluation_folder, layout
from sipo.geneval.comparison.outputs import expected
from sipo.geneval.evaluation_folder import FLOAT32, RESULTS, SUMMARY
from sipo.geneval.listed_folder import lay_out, listed_images
from sipo.geneval.results import write_rows
from sipo.geneval.settings import OF_CLIPS, EvalSettings, wanted_prompts
from sipo.geneval.suite_images import find_suite_images
from sipo.geneval.summary import (
    EvaluationConfig,
    EvaluationSummary,
    images_sha256,
    prompts_sha256,
    summarise,
    versions,
)

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone


@dataclass(frozen=True)
class EvaluationWork:
    """What is to be judged: `root` holds the images, sampled there or found there.

    `samples` are the images of each prompt where they were made elsewhere; `listed` says that a
    list names them (or a suite's layout does), and that they are to be put under `root` first, cut
    out of their grids with `in_grids`.
    """

    prompts: list[Prompt]
    root: Path
    images_there: int
    samples: list[list[Path]] | None = None
    listed: bool = False
    in_grids: bool = False

    @property
    def tags(self) -> dict[str, int]:
        """Prompts per tag."""
        names = [prompt.tag for prompt in self.prompts]
        return {tag: names.count(tag) for tag in dict.fromkeys(names)}

    @property
    def counts(self) -> str:
        return layout.counts(self.samples or [])


def plan(settings: EvalSettings, judge: Judge | None = None) -> EvaluationWork:
    """Everything that can be said and refused before a model is loaded, `judge` if not given."""
    work = _plan(settings)
    if judge is None:
        source = settings.prompts or settings.suite or settings.images or "mini"
        check_prompts(settings.judge, work.prompts, source, settings.judge_settings)
    return work


def _plan(settings: EvalSettings) -> EvaluationWork:
    settings.check()
    prompts = wanted_prompts(settings)
    if settings.images:
        return _plan_of_images(settings, settings.images, prompts)
    indices = product(range(len(prompts)), range(settings.images_per_prompt), layout.SAMPLED)
    sampled = sum((settings.out / layout.image_name(*index)).exists() for index in indices)
    work = EvaluationWork(prompts, settings.out, sampled)
    evaluation_folder.hold_early(
        settings.out, _known_early(settings, work) | _models_early(settings)
    )
    return work


def _plan_of_images(settings: EvalSettings, images: Path, wanted: list[Prompt]) -> EvaluationWork:
    """Of a list, of a suite's own layout, or of a folder in GenEval's."""
    named = "images_per_prompt" in settings.model_fields_set
    count = settings.images_per_prompt if named else None
    listed, in_grids = images.is_file(), False
    if listed:
        found, samples = listed_images(images, wanted)
        _require_count(images, found, samples, count)
        layout.require_one_kind([path for row in samples for path in row])
    elif theirs := find_suite_images(images, wanted):
        settings.require_local("images of a suite's own layout")
        listed, in_grids = True, theirs.in_grids
        found, samples = wanted, theirs.samples
        _require_count(images, found, samples, count)
    else:
        found = layout.read_prompt_folders(images)
        if wanted:
            layout.check_same_prompts(images, found, wanted)
            found = wanted
        samples = layout.find_images(images, found, count or expected(images))
    _require_named_judge(settings, images)
    root, total = settings.out if listed else images, sum(map(len, samples))
    work = EvaluationWork(found, root, total, samples, listed, in_grids)
    evaluation_folder.hold_early(settings.out, _known_early(settings, work))
    return work


def _require_count(
    images: Path, prompts: list[Prompt], samples: list[list[Path]], count: int | None
) -> None:
    for prompt, row in zip(prompts, samples, strict=True):
        if count is not None and len(row) != count:
            raise ValueError(
                f"{str(images)!r} has {len(row)} images of {prompt.text!r} where "
                f"--images-per-prompt {count} are expected; leave that out to take what is there"
            )


def _require_named_judge(settings: EvalSettings, images: Path) -> None:
    """The embedded evaluator is the default for images that are known to be of its world."""
    model = evaluation_folder.read_config(images).get("backbone") if images.is_dir() else None
    name = model.get("name") if isinstance(model, dict) else None
    embedded = settings.suite in EMBEDDED_SUITES or (name and is_embedded(str(name)))
    if "judge" not in settings.model_fields_set and not embedded:
        raise ValueError(
            f"--judge was not given, and the images of {str(images)!r} may be any model's; give "
            "--judge mask2former (the official evaluator's) or another, or mini-evaluator for "
            "emoji scenes"
        )


def evaluate(
    settings: EvalSettings, backbone: Backbone | None = None, judge: Judge | None = None
) -> EvaluationSummary:
    """Write images, `results.jsonl` and `summary.json` under `settings.out`; returns the summary.

    `backbone` and `judge` stand in for what the settings name (loaded already, or of one's own).
    Several processes may be given the same: they share the work, and each returns the whole.
    Raises ValueError for missing images, other settings in the same folder and unknown names.
    """
    work = plan(settings, judge)
    loaded = backbone is not None or judge is not None
    if (count := processes_for(settings.devices, settings.device, loaded)) > 1:
        run_processes(count, partial(evaluate, settings.model_copy(update={"devices": "auto"})))
        return evaluation_folder.read_summary(settings.out, EvaluationSummary)
    with one_of_several(settings.out, "sipo-geneval"):
        leases = Leases(store_of(settings.out))
        with leases.beating():
            return _evaluate(settings, work, leases, backbone, judge)


def _evaluate(
    settings: EvalSettings,
    work: EvaluationWork,
    leases: Leases,
    backbone: Backbone | None,
    judge: Judge | None,
) -> EvaluationSummary:
    judge = judge or load_judge_for(settings, work.prompts)
    _require_company(judge, settings, work)
    backbone = None if settings.images else backbone or load_backbone_for(settings)
    clips = backbone.fps is not None if backbone else layout.is_clip(_first(work))
    _check_clip_settings(settings, clips)
    judge = judge_for(judge, clips, settings.judged_frames, settings.frame_score)
    depends = _known_early(settings, work) | {"detector": judge.describe()}
    if backbone:
        config = _sample(settings, work, depends, backbone, leases)
        samples = layout.find_images(work.root, work.prompts, settings.images_per_prompt)
        return _score(settings, work, judge, config, samples, leases)
    config = _held(settings, depends if work.listed else depends | _provenance(work.root))
    assert work.samples is not None
    samples = (
        lay_out(work.root, work.prompts, work.samples, work.in_grids)
        if work.listed
        else work.samples
    )
    return _score(settings, work, judge, config, samples, leases)


def _held(settings: EvalSettings, known: dict[str, object]) -> EvaluationConfig:
    """The folder, held to all that this evaluation depends on."""
    config = EvaluationConfig.model_validate(known)
    evaluation_folder.hold(settings.out, config.to_dict())
    return config


def _first(work: EvaluationWork) -> Path:
    assert work.samples is not None
    return work.samples[0][0]


def _require_company(judge: Judge, settings: EvalSettings, work: EvaluationWork) -> None:
    sizes = {len(row) for row in work.samples or ()} or {settings.images_per_prompt}
    if len(sizes) > 1 and judge.describe().get("rule") == "majority":
        raise ValueError(
            f"ensemble rule 'majority' compares the images of a prompt, and {work.counts}; give "
            "as many of each, or another rule"
        )
    require_company(judge, settings.batch_size, max(sizes))


def _check_clip_settings(settings: EvalSettings, clips: bool) -> None:
    """Raises ValueError for a setting of clips where there are images."""
    named = [n for n in OF_CLIPS if n in settings.model_fields_set and getattr(settings, n)]
    if named and not clips:
        raise ValueError(
            f"--{named[0].replace('_', '-')} {getattr(settings, named[0])} has no effect: "
            f"{str(settings.images or settings.backbone)!r} makes images, not clips; leave it out"
        )


def _known_early(settings: EvalSettings, work: EvaluationWork) -> dict[str, object]:
    """What a folder is held to, as far as it is known before a model is loaded."""
    sizes = sorted({len(row) for row in work.samples or ()}) or [settings.images_per_prompt]
    known: dict[str, object] = {
        "suite": settings.suite or (None if settings.prompts or settings.images else "mini"),
        "prompts": {"count": len(work.prompts), "sha256": prompts_sha256(work.prompts)},
        "images_per_prompt": sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}",
        "images": str(settings.images) if settings.images and not work.listed else None,
        "batch_size": settings.batch_size,
        "judge": ",".join(name for name, _ in split_names(settings.judge)),
    }
    return known | ({"listed": str(settings.images)} if work.listed else {})


def _models_early(settings: EvalSettings) -> dict[str, object]:
    """Of the models, what the settings alone say of them."""
    return {
        "backbone": {"name": Path(settings.backbone).name},
        "seeds": {"seed": settings.seed},
        "sampler": sampler_settings(settings),
        "dtype": dtype_of(settings),
    }


def dtype_of(settings: EvalSettings) -> str:
    """What --dtype comes to on the device."""
    from sipo.common.devices import dtype_on, find_device

    return dtype_on(find_device(settings.device), settings.dtype)


def _provenance(images: Path) -> dict[str, object]:
    """What a folder of our own says of how its images were sampled; {} for others."""
    config = evaluation_folder.read_config(images)
    return {key: config[key] for key in ("backbone", "sampler", "seeds", "dtype") if key in config}


def _sample(
    settings: EvalSettings,
    work: EvaluationWork,
    known: dict[str, object],
    backbone: Backbone,
    leases: Leases,
) -> EvaluationConfig:
    """Sample what is missing; returns `known` with what the images depend on."""
    from sipo.backbones.base import Sampler
    from sipo.backbones.faster import speed_up
    from sipo.backbones.text_limits import say_lost
    from sipo.common.cpu_workers import workers_for
    from sipo.common.devices import find_device
    from sipo.geneval.sample_images import sample_images

    defaults = backbone.default_sampler.model_dump()
    sampler = backbone.sized(Sampler.model_validate(defaults | sampler_settings(settings)))
    described = backbone.describe()
    speed_up(backbone, sampler)
    depends = {
        "backbone": described | {"name": Path(described["name"]).name},
        "sampler": sampler.model_dump(),
        "seeds": {"seed": settings.seed, "rule": "sha256(seed, prompt, index), first 63 bits"},
    }
    dtype = {"dtype": dtype_of(settings)}
    config = _held(settings, known | depends | ({} if dtype == FLOAT32 else dtype))
    say_lost(backbone, [prompt.text for prompt in work.prompts])
    sample_images(
        backbone,
        sampler,
        work.prompts,
        settings.images_per_prompt,
        settings.seed,
        settings.batch_size,
        settings.out,
        leases,
        workers_for(find_device(settings.device).type, settings.workers),
    )
    return config


def load_judge_for(settings: EvalSettings, prompts: Sequence[Prompt]) -> Judge:
    named, classes = (settings.judge, settings.judge_weights), vocabulary_of(prompts)
    return load_judge(*named, classes, settings.judge_settings)


def load_backbone_for(settings: EvalSettings) -> Backbone:
    from sipo.backbones.faster import refuse_unavailable
    from sipo.backbones.placement import place
    from sipo.backbones.registry import load_backbone
    from sipo.common.devices import find_device

    device, dtype, quantize = find_device(settings.device), dtype_of(settings), settings.quantize
    refuse_unavailable(device, settings.compile, settings.fp8, dtype, quantize, settings.offload)
    backbone = load_backbone(settings.backbone, settings.weights, dtype=dtype, quantize=quantize)
    place(backbone, device, settings.offload)
    return backbone


def _score(
    settings: EvalSettings,
    work: EvaluationWork,
    judge: Judge,
    config: EvaluationConfig,
    samples: Sequence[Sequence[Path]],
    leases: Leases,
) -> EvaluationSummary:
    """Judge and count, unless these very images have all been judged here already."""
    from sipo.geneval.judged_blocks import JudgedBlocks

    done, results = (settings.out / name for name in (SUMMARY, RESULTS))
    paths = [path for row in samples for path in row]
    sha256 = images_sha256(paths)
    before = _summary_of(settings.out, sha256)
    if before and not before.failures.images:
        return before
    asked = [p for p, row in zip(work.prompts, samples, strict=True) for _ in row]
    blocks = JudgedBlocks(settings.out, judge, paths, asked, settings.batch_size, sha256)

    def counted() -> EvaluationSummary | None:
        """By another process meanwhile."""
        now = _summary_of(settings.out, sha256)
        return None if now == before else now

    judged = None
    while judged is None:
        blocks.judge_shared(leases, lambda: counted() is not None)
        leases.wait_for("results", every_s=0.05)
        if (now := counted()) is not None:
            return now
        judged = blocks.all()
    names = [path.relative_to(work.root).as_posix() for path in paths]
    rows, numbers = summarise(names, asked, judged)
    write_rows(rows, results)
    made = {"images_sha256": sha256, "command": settings.command(), "versions": versions()}
    summary = EvaluationSummary.model_validate(
        numbers.to_dict()
        | {"thresholds": config.detector.get("thresholds")}
        | config.to_dict()
        | made
    )
    evaluation_folder.write_json(done, summary.to_dict())
    blocks.remove()
    return summary


def _summary_of(folder: Path, images: str) -> EvaluationSummary | None:
    """Of an evaluation that is done, where these are the images."""
    if not ((folder / SUMMARY).exists() and (folder / RESULTS).exists()):
        return None
    summary = evaluation_folder.read_summary(folder, EvaluationSummary)
    return summary if summary.images_sha256 == images else None
