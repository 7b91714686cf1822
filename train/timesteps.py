"""Which timesteps a run draws: those asked for, of those that the trained denoiser is asked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipo.train.objective.registry import find_objective

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone
    from sipo.train.settings import TrainSettings


def trained_timesteps(settings: TrainSettings, backbone: Backbone) -> range:
    """Raises ValueError for timesteps that the denoiser is never asked at, and where the model has
    several and it is not said which is trained; also for whole chains of a model that guides by
    more than its prompt."""
    _check_expert(settings, backbone)
    _check_guidance(settings, backbone)
    own = backbone.timesteps
    if not settings.train_timesteps:
        return own
    low, _, high = settings.train_timesteps.partition(":")
    if int(low) < own.start or int(high) > own.stop:
        whose = f"expert {backbone.expert!r} of {backbone.name!r}" if backbone.expert else "the "
        whose += "" if backbone.expert else f"model {backbone.name!r}"
        raise ValueError(
            f"--train_timesteps {settings.train_timesteps!r} is not within the timesteps of "
            f"{whose}; give LOW:HIGH within {own.start}:{own.stop}, or leave it out"
        )
    return range(int(low), int(high))


def _check_expert(settings: TrainSettings, backbone: Backbone) -> None:
    asked = settings.expert or ""
    if not backbone.experts:
        if asked:
            raise ValueError(
                f"--expert {asked!r} is for a model of several denoisers, and {backbone.name!r} "
                "has one; leave it out"
            )
        return
    if not asked:
        each = ", ".join(f"{n} ({t.start}:{t.stop})" for n, t in backbone.experts.items())
        raise ValueError(
            f"--expert is missing: {backbone.name!r} has a denoiser for each part of its "
            f"timesteps, and a run trains one; give one of {each}"
        )
    if asked != backbone.expert:
        raise ValueError(
            f"--expert {asked!r} is to be trained, and the model was loaded for "
            f"{backbone.expert or 'sampling'!r}; load it with expert={asked!r}"
        )
    if find_objective(settings.objective).data == "rollouts":
        raise ValueError(
            f"--objective {settings.objective!r} learns from whole chains of steps, which the "
            f"experts of {backbone.name!r} share; take an objective that learns from pairs"
        )


def _check_guidance(settings: TrainSettings, backbone: Backbone) -> None:
    asked = backbone.rows_a_step(backbone.default_sampler.guidance)
    if asked > 2 and find_objective(settings.objective).data == "rollouts":
        raise ValueError(
            f"--objective {settings.objective!r} samples with two predictions a step, with the "
            f"prompt and without, and the pipeline of {backbone.name!r} guides by {asked}; take an "
            "objective that learns from pairs"
        )
