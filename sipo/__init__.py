"""AI-feedback preference data and SIPO training for text-to-image and text-to-video models.

    shards = sipo.generate(prompts, backbone="stable-diffusion-v1-5/stable-diffusion-v1-5")
    run = sipo.train("shards")
    sipo.evaluate(weights=run.out)

docs/python.md of the source has the whole loop. Names are imported when they are first used, so
that `import sipo` costs nothing; every setting of a command is a keyword of its function.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipo.backbones.api import load_backbone
    from sipo.datagen.api import generate, open_pairs, verdicts
    from sipo.datagen.generation.types import Pair
    from sipo.datagen.settings import GenerateSettings
    from sipo.feedback.api import load_judge
    from sipo.feedback.prompts.prompt import Prompt
    from sipo.feedback.rule.verdict import Verdict
    from sipo.geneval.api import compare, evaluate
    from sipo.geneval.settings import EvalSettings
    from sipo.loop.api import loop
    from sipo.loop.settings import LoopSettings
    from sipo.train.api import train
    from sipo.train.settings import TrainSettings

__version__ = "0.2.0"

__all__ = [
    "EvalSettings",
    "GenerateSettings",
    "LoopSettings",
    "Pair",
    "Prompt",
    "TrainSettings",
    "Verdict",
    "__version__",
    "compare",
    "evaluate",
    "generate",
    "load_backbone",
    "load_judge",
    "loop",
    "open_pairs",
    "train",
    "verdicts",
]

_HOMES = {
    "EvalSettings": "sipo.geneval.settings",
    "GenerateSettings": "sipo.datagen.settings",
    "LoopSettings": "sipo.loop.settings",
    "Pair": "sipo.datagen.generation.types",
    "Prompt": "sipo.feedback.prompts.prompt",
    "TrainSettings": "sipo.train.settings",
    "Verdict": "sipo.feedback.rule.verdict",
    "compare": "sipo.geneval.api",
    "evaluate": "sipo.geneval.api",
    "generate": "sipo.datagen.api",
    "load_backbone": "sipo.backbones.api",
    "load_judge": "sipo.feedback.api",
    "open_pairs": "sipo.datagen.api",
    "verdicts": "sipo.datagen.api",
}
_CALLABLE_ROOMS = ("loop", "train")
"""Functions that are rooms, too: see sipo/common/callable_package.py."""


def __getattr__(name: str) -> object:
    """PEP 562."""
    if name in _CALLABLE_ROOMS:
        return import_module(f"sipo.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'sipo' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
