"""The first two stages as streams: requests -> candidates -> candidates with a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.fitting import sample_fitting
from sipo.common.pictures.picture import as_kept
from sipo.datagen.generation.types import Candidate, Request
from sipo.feedback.judge import Judge
from sipo.feedback.judge_batches import judge_sound
from sipo.feedback.prompts.prompt import pictures_of
from sipo.feedback.rule.verdict import failed_verdict

T = TypeVar("T")


def sample(
    requests: Iterable[Request], backbone: Backbone, sampler: Sampler, batch_size: int
) -> Iterator[Candidate]:
    """One candidate a request, in order; batches are cut from the stream as it comes."""
    for batch in batches(requests, batch_size):
        texts, seeds = [r.prompt.text for r in batch], [r.seed for r in batch]
        pictures = pictures_of(r.prompt for r in batch)
        sampled = sample_fitting(backbone, texts, seeds, sampler, pictures)
        for request, made in zip(batch, sampled, strict=True):
            picture = as_kept(made.image, made.frames, backbone.fps)
            yield Candidate(request, picture, made.latents)


def judge(
    candidates: Iterable[Candidate], with_judge: Judge, batch_size: int
) -> Iterator[Candidate]:
    """The same candidates with their verdicts. Latents or pixels that are not finite are a failure.

    The judge of clips is of `judge_for`.
    """
    for batch in batches(candidates, batch_size):
        pictures = [c.picture for c in batch]
        verdicts = judge_sound(with_judge, pictures, [c.request.prompt for c in batch])
        for candidate, verdict in zip(batch, verdicts, strict=True):
            if not candidate.latents.isfinite().all():
                verdict = failed_verdict("latents are not finite", with_judge.describe())
            yield replace(candidate, verdict=verdict)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
