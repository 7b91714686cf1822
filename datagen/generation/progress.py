"""The bar of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from sipo.common.processes import shows_bars
from sipo.datagen.generation.candidates import Track
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.rule.verdict import Verdict


@contextmanager
def candidates_bar(folder: ShardFolder, todo: Sequence[int], progress: bool) -> Iterator[Track]:
    """A bar over candidates with rate, time left and the share that is correct so far."""
    per_prompt = folder.config.candidates
    total = len(folder.prompts) * per_prompt
    left = sum(len(folder.prompts_of(number)) * per_prompt for number in todo)
    judged = correct = 0
    with tqdm(
        total=total,
        initial=total - left,
        unit="img",
        desc="Candidates",
        disable=not (progress and shows_bars()),
    ) as bar:

        def track(verdict: Verdict) -> None:
            nonlocal judged, correct
            if not verdict.failed:
                judged, correct = judged + 1, correct + verdict.correct
                bar.set_postfix(correct=f"{correct / judged:.2f}", refresh=False)
            bar.update()

        yield track
        bar.total = bar.n  # --allocate may ask for fewer
