"""Which prompts a round learns from: every tag in its share, round after round, without end.

What is not trained is forgotten (docs/methods/earlier-base.md has a round without a tag, which
undid the one before), so no tag ever runs out: its prompts come again, with the seeds of another
round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

from sipo.common.files.writing import write_text
from sipo.datagen.generation.prompts import prompts_bytes, without_repeats
from sipo.feedback.prompts.prompt import EVERY_TAG, Prompt, read_prompts
from sipo.feedback.prompts.suites import TRAIN_SUITES, load_suite
from sipo.loop.settings import LoopSettings

Drawn = Iterator[tuple[Prompt, int]]
"""A prompt, and how often it was there before."""


def source_of(settings: LoopSettings) -> Sequence[Prompt]:
    """All that rounds can draw from. A file is shuffled, by its texts alone; suites are."""
    if settings.prompts is None:
        return load_suite(settings.suite, TRAIN_SUITES)
    return sorted(read_prompts(settings.prompts), key=lambda prompt: _digest(prompt.key))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def sampling_prompts(settings: LoopSettings, sampling: int) -> list[Prompt]:
    """Those of the loop's sampling of this number, from 0."""
    return next(islice(samplings(settings), sampling, None))


def samplings(settings: LoopSettings) -> Iterator[list[Prompt]]:
    """Without end: `num_prompts` each, or all that there are, on from the one before.

    A prompt that comes twice within one is there once: the same seeds would give the same images.
    """
    source = source_of(settings)
    size = min(settings.num_prompts, len({prompt.key for prompt in source}))
    taken: dict[str, Prompt] = {}
    for prompt, _ in drawn(source, settings.prompts is None):
        taken.setdefault(prompt.key, prompt)
        if len(taken) == size:
            yield list(taken.values())
            taken = {}


def kept_prompts(settings: LoopSettings, sampling: int, file: Path) -> list[Prompt]:
    """As `file` has them; it is written where it is not there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, prompts_bytes(sampling_prompts(settings, sampling)).decode())
    return read_prompts(file)


def drawn(prompts: Sequence[Prompt], equally: bool) -> Drawn:
    """Without end: of all tags equally many, or as many as there are of each; a tag in its order.

    Each place is the tag's that is furthest behind its share.
    """
    by_tag: dict[str, list[Prompt]] = {tag: [] for tag in EVERY_TAG}
    for prompt in without_repeats(prompts):
        by_tag[prompt.tag].append(prompt)
    rows = {tag: found for tag, found in by_tag.items() if found}
    weights = {tag: 1 if equally else len(found) for tag, found in rows.items()}
    total, taken = sum(weights.values()), dict.fromkeys(rows, 0)
    for place in count(1):
        tag = max(rows, key=lambda tag: weights[tag] * place - taken[tag] * total)
        again, number = divmod(taken[tag], len(rows[tag]))
        yield rows[tag][number], again
        taken[tag] += 1


def check_enough(settings: LoopSettings, samplings: int) -> None:
    """Raises ValueError where a prompt would come again and `--no_reuse_prompts` says it must not.

    `samplings` are those of all rounds.
    """
    if settings.reuse_prompts:
        return
    needed, taken = samplings * settings.num_prompts, []
    for prompt, again in drawn(source_of(settings), settings.prompts is None):
        taken.append(prompt)
        if again or len(taken) == needed:
            break
    if not again:
        return
    fresh = len(taken) - 1
    fit = fresh // samplings
    remedy = f"set --num-prompts {fit} or " if fit else ""
    raise ValueError(
        f"--rounds {settings.rounds} x --num-prompts {settings.num_prompts} need {needed} prompts, "
        f"each used once with --no-reuse-prompts, and those of {taken[-1].tag} are used up after "
        f"{fresh}; {remedy}leave --no-reuse-prompts out"
    )
