"""Words that text encoders cut off are named, once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tiny_video import tiny_wan

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.backbones.text_limits import limit_of, lost_words, say_lost

LONG = "a photo of a red dog and a blue bus and a cat and a bear and a horse and a cow and a clock"


@pytest.fixture(scope="module")
def mini_sd() -> Backbone:
    return load_backbone("mini-sd")


def test_what_is_lost_is_named_once(mini_sd: Backbone, capsys: pytest.CaptureFixture[str]) -> None:
    say_lost(mini_sd, ["a photo of a dog", LONG, "a dog", *[LONG] * 4])
    said = capsys.readouterr().err
    assert said.startswith("warning: 5 of 7 prompts are longer than 'mini-sd' reads (tokens 20): ")
    assert "number 2 loses '" in said
    assert said.endswith(" and 2 more; shorten them to be heard\n")
    say_lost(mini_sd, ["a photo of a dog"])
    assert capsys.readouterr().err == ""


def test_the_words_are_those_after_the_last_that_is_read(mini_sd: Backbone) -> None:
    pipeline = getattr(mini_sd, "pipeline")  # noqa: B009
    lost = lost_words(pipeline, [LONG])[0]
    assert LONG.endswith(lost)
    read = LONG.removesuffix(lost).split()
    assert len(read) == limit_of(pipeline) - 2  # a token a word; begin and end


def test_diffusers_says_nothing_of_it(mini_sd: Backbone) -> None:
    """Its own handler, which writes to standard error; pytest's are others."""
    (theirs,) = [
        handler
        for handler in logging.getLogger("diffusers").handlers
        if type(handler) is logging.StreamHandler
    ]
    cut = logging.makeLogRecord({"msg": "The following part of your input was truncated because"})
    assert not theirs.filter(cut)
    assert theirs.filter(logging.makeLogRecord({"msg": "something else"}))


def test_the_limit_is_the_calls(tmp_path: Path) -> None:
    """Wan's `encode_prompt` alone would read 226 tokens."""
    wan = load_backbone(str(tiny_wan(tmp_path / "tiny-wan")))
    assert limit_of(getattr(wan, "pipeline")) == 512  # noqa: B009
