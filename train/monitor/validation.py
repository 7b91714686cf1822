"""The policy's images looked at while it trains: a fixed set of prompts, judged every N pairs.

Curves of losses cannot tell a policy that follows prompts from one that draws noise which the
reference likes even less; images can. The judge should not be the one that chose the winners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from PIL import Image

from sipo.backbones.base import Sampler
from sipo.backbones.editing import sample_or_edit
from sipo.backbones.seeds import image_seed
from sipo.common.files.working_folders import working_folder
from sipo.common.pictures.sharpness import sharpness
from sipo.common.statistics import OVERALL, Difference, differences
from sipo.feedback.judge import Judge
from sipo.feedback.judge_batches import judge_sound
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import Prompt, pictures_of, read_prompts
from sipo.feedback.registry import load_judge, vocabulary_of
from sipo.feedback.rule.confidence import single_object_confidence
from sipo.feedback.rule.verdict import Verdict
from sipo.train.distributed.together import for_the_main_one, in_turn, on_every_process, share_of
from sipo.train.monitor.log_rows import Look
from sipo.train.monitor.validation_sheet import ON_SHEET, sheet_path, write_sheet
from sipo.train.policy import Policy
from sipo.train.run_length import RunLength
from sipo.train.settings import TrainSettings

PROMPTS = 48  # of the data's own, when no file is given
Shares = Mapping[str, Mapping[str, float]]
"""Tag -> prompt -> share of correct images."""


def validation_prompts(settings: TrainSettings) -> list[Prompt]:
    """Of the file, or PROMPTS taken evenly from the data's."""
    if settings.validation_prompts:
        return read_prompts(Path(settings.validation_prompts))
    from sipo.datagen.storage.prompt_dataset import PromptDataset

    folders = settings.data[: 1 if settings.steps_per_folder else None]  # others come later
    prompts = PromptDataset(folders).prompts
    step = max(1, len(prompts) / PROMPTS)
    return [prompts[int(i * step)] for i in range(min(PROMPTS, len(prompts)))]


def check_validation(settings: TrainSettings, prompts: Sequence[Prompt]) -> None:
    """Raises ValueError for prompts that the judge could only fail on."""
    source = settings.validation_prompts or ", ".join(settings.data)
    check_prompts(settings.validation_judge, prompts, source, option="--validation_judge")


class Validation:
    """The same prompts and seeds each time, so that two looks differ by the weights alone."""

    def __init__(self, policy: Policy, settings: TrainSettings, sampler: Sampler) -> None:
        """`policy` must have its whole pipeline."""
        self.policy, self.settings, self.sampler = policy, settings, sampler
        self.prompts = validation_prompts(settings)
        check_validation(settings, self.prompts)
        weights = settings.validation_judge_weights or None
        vocabulary = vocabulary_of(self.prompts)
        self.judge: Judge = load_judge(settings.validation_judge, weights, vocabulary)
        self.has_seen = False  # whether a look of this run has seen anything, before a restart too

    def is_due(self, step: int, plan: RunLength) -> bool:
        """After each --validation_pairs pairs, and at the end."""
        every, seen = self.settings.validation_pairs, step * plan.pairs_per_step
        assert every, "or there was no validation"
        return seen // every > (seen - plan.pairs_per_step) // every or seen == plan.pairs

    def look(self, step: int) -> Look | str:
        """Sample, judge, draw `validation/step-N.png`; what goes into the log's row.

        Whole batches are dealt out to the processes, so that it sees what one alone would see. All
        must call it. Where all verdicts failed it says why instead of a look; the first time that
        is a ValueError: nothing would ever be seen.
        """
        asked = [p for p in self.prompts for _ in range(self.settings.num_validation_images)]
        seeds = [
            image_seed(self.settings.seed, prompt.key, index)
            for prompt in self.prompts
            for index in range(self.settings.num_validation_images)
        ]
        size = self.settings.train_batch_size
        batches = [slice(first, first + size) for first in range(0, len(asked), size)]
        pictures: list[Sequence[Image.Image]] = []

        def judge_share() -> list[list[tuple[Verdict, float]]]:
            judged = []
            for part in share_of(batches):
                made = self._sample(asked[part], seeds[part])
                verdicts = judge_sound(self.judge, made, asked[part])
                judged.append(list(zip(verdicts, map(sharpness, made), strict=True)))
                pictures.append(made[: max(0, ON_SHEET - part.start)])
            return judged

        judged = in_turn(on_every_process(judge_share))
        verdicts = [verdict for verdict, _ in judged]
        if shown := in_turn(for_the_main_one(pictures)):
            write_sheet(shown, sheet_path(working_folder(self.settings.out), step))
        if self.has_seen and all(verdict.failed for verdict in verdicts):
            return _none_judged(verdicts)
        seen = summarise(asked, verdicts)
        sharp = [value for verdict, value in judged if not verdict.failed]
        seen["sharpness"] = fmean(sharp)
        self.has_seen = True
        return seen

    def _sample(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Image.Image]:
        texts = [prompt.text for prompt in prompts]
        pictures = pictures_of(prompts)
        with self.policy.autocast():
            made = sample_or_edit(self.policy.backbone, texts, pictures, seeds, self.sampler)
        return [sample.image for sample in made]


def summarise(prompts: Sequence[Prompt], verdicts: Sequence[Verdict]) -> Look:
    """A look, from prompts and verdicts in parallel. Failed verdicts are left out.

    Raises ValueError where all have failed.
    """
    by_tag: dict[str, dict[str, list[bool]]] = {}
    judged = [pair for pair in zip(prompts, verdicts, strict=True) if not pair[1].failed]
    if not judged:
        raise ValueError(_none_judged(verdicts))
    for prompt, verdict in judged:
        by_tag.setdefault(prompt.tag, {}).setdefault(prompt.text, []).append(verdict.correct)
    shares = {tag: {text: fmean(c) for text, c in of.items()} for tag, of in by_tag.items()}
    return {
        "overall": fmean(fmean(of.values()) for of in shares.values()),
        "prompts": shares,
        "empty_share": fmean(not verdict.boxes for _, verdict in judged),
        "single_object_confidence": single_object_confidence(prompts, verdicts),
    }


def _none_judged(verdicts: Sequence[Verdict]) -> str:
    return (
        f"--validation_judge failed on all {len(verdicts)} images ({verdicts[0].failure}); "
        "look at them, or take another judge"
    )


def fall(best: Shares, now: Shares) -> Difference | None:
    """How `now` differs from the best look, where it has clearly fallen; None elsewhere.

    Clear as everywhere: the 95 % bootstrap interval of the difference, paired by prompt and
    stratified by tag, leaves out 0, of six prompts or more. A tag of one prompt has no interval
    and is left out.
    """
    both = {tag: [p for p in best[tag] if p in now[tag]] for tag in best if tag in now}
    before, after = (
        {tag: {p: (look[tag][p], 1.0) for p in both[tag]} for tag in both if len(both[tag]) > 1}
        for look in (best, now)
    )
    lost = differences(before, after)[OVERALL] if before else None
    return lost if lost and lost.clear and lost.difference < 0 else None
