"""No float of any command's settings is NaN or infinite."""

import math
from importlib import import_module
from typing import Any

import pytest
from pydantic import ValidationError

MODELS = [
    ("sipo.datagen.settings", "GenerateSettings"),
    ("sipo.train.settings", "TrainSettings"),
    ("sipo.geneval.settings", "EvalSettings"),
    ("sipo.loop.settings", "LoopSettings"),
    ("sipo.backbones.base", "Sampler"),
]
FLOATS = [
    (module, model, name)
    for module, model in MODELS
    for name, field in getattr(import_module(module), model).model_fields.items()
    if "float" in str(field.annotation)
]


def test_there_are_floats_to_try() -> None:
    assert len(FLOATS) >= 20


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("module", "model", "name"), FLOATS)
def test_it_is_refused(module: str, model: str, name: str, value: float) -> None:
    settings: Any = getattr(import_module(module), model)
    with pytest.raises(ValidationError, match=f"{name}\n"):
        settings.model_validate({name: value})


@pytest.mark.parametrize(("module", "model"), MODELS[:4])
def test_a_seed_is_what_torch_takes(module: str, model: str) -> None:
    settings: Any = getattr(import_module(module), model)
    assert settings.model_validate({"seed": 2**63 - 1}).seed == 2**63 - 1
    with pytest.raises(ValidationError):
        settings.model_validate({"seed": 2**64})
