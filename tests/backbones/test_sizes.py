"""One side alone, and sides that cannot be made: what is recorded is what is sampled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import makers
import pytest
from tiny import tiny_pipeline

from sipo.backbones.base import Sampler
from sipo.backbones.registry import SAMPLER_FILE, load_backbone
from sipo.datagen.generation.build import prepare
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.grammar import single_object

pytestmark = [
    pytest.mark.filterwarnings(said)
    for said in (
        "ignore:__array__ implementation:DeprecationWarning",  # numpy 2 of EulerDiscreteScheduler
        "ignore:.FluxPosEmbed. is deprecated:FutureWarning",  # diffusers of its own Chroma
    )
]

PROMPT = single_object("cat")


@pytest.fixture(scope="module", params=makers.ALL)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_backbone(str(makers.ALL[request.param](tmp_path_factory.mktemp("size") / "tiny")))


def test_a_side_alone_keeps_the_checkpoints_other(backbone: Any) -> None:
    own, step = backbone._native_size(), backbone._size_step()
    for name, height, width in [("height", step, own[1]), ("width", own[0], step)]:
        asked = backbone.sized(Sampler(**{name: step}))
        assert (asked.height, asked.width) == (height, width)
    both = backbone.default_sampler
    assert backbone.sized(both) == both


def test_its_own_size_is_one_it_can_make(backbone: Any) -> None:
    height, width = backbone._native_size()
    assert backbone.sized(Sampler(height=height, width=width)).width == width


def test_a_side_it_cannot_make_is_refused_before_it_samples(backbone: Any) -> None:
    step = backbone._size_step()
    beyond = 2 * step + 1
    with pytest.raises(
        ValueError,
        match=rf"--width {beyond} is no multiple of {step}.* give {2 * step} or {3 * step}",
    ):
        backbone.sample(["a cat"], [0], Sampler(steps=1, height=step, width=beyond))


def test_the_configuration_says_what_was_sampled(tiny_backbone: Any) -> None:
    for given, size in [({"height": 24}, (16, 24)), ({"width": 32}, (32, 16))]:
        settings = GenerateSettings(judge="fake", device="cpu", workers=1, **given)
        job = prepare(settings, [PROMPT], tiny_backbone, FakeJudge())
        assert job.config.sampler is not None
        sampler = Sampler.model_validate(job.config.sampler.as_read())
        assert (sampler.width, sampler.height) == size
        [sample] = tiny_backbone.sample([PROMPT.text], [0], sampler)
        assert sample.image.size == size
    with pytest.raises(ValueError, match=r"--height 20 is no multiple of 8.* give 16 or 24"):
        prepare(settings.model_copy(update={"height": 20}), [PROMPT], tiny_backbone, FakeJudge())


def test_a_checkpoints_sampler_may_name_one_side(tmp_path: Path) -> None:
    folder = tiny_pipeline(tmp_path / "tiny")
    (folder / SAMPLER_FILE).write_text('{"steps": 1, "guidance": 1.0, "height": 32}')
    backbone: Any = load_backbone(str(folder))
    [sample] = backbone.sample(["a cat"], [0], backbone.default_sampler)
    assert sample.image.size == (16, 32)
