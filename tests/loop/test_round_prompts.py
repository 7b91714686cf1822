"""Every round has every tag in its share, and nothing runs out."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from written_prompts import write_prompts

from sipo.datagen.generation.prompts import asked_prompts
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import TAGS, read_prompts
from sipo.loop.refusals import check
from sipo.loop.round_prompts import drawn, kept_prompts, sampling_prompts
from sipo.loop.settings import LoopSettings

CATS = [grammar.colors("cat", color) for color in ("red", "blue", "green", "pink", "brown", "blue")]
COUNTS = [grammar.counting("dog", number) for number in (2, 3)]


def test_a_suite_gives_every_round_as_many_of_each_tag() -> None:
    settings = LoopSettings(num_prompts=48)
    for number in range(3):
        assert Counter(p.tag for p in sampling_prompts(settings, number)) == dict.fromkeys(TAGS, 8)


def test_what_comes_again_within_a_round_is_there_once() -> None:
    """16 single objects and 20 counts are all there are; the other four tags have 64 each."""
    for number in range(2):
        prompts = sampling_prompts(LoopSettings(num_prompts=292), number)
        tags = Counter(prompt.tag for prompt in prompts)
        assert (tags["single_object"], tags["counting"]) == (16, 20)
        assert {tags[tag] for tag in TAGS} == {16, 20, 64}
        assert len({prompt.text for prompt in prompts}) == 292


def test_the_first_round_has_the_prompts_that_generate_takes() -> None:
    asked = GenerateSettings(num_prompts=292)
    of_the_loop = sampling_prompts(LoopSettings(num_prompts=292), 0)
    assert {p.text for p in of_the_loop} == {p.text for p in asked_prompts(asked)}


def test_no_more_than_there_are(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    write_prompts(CATS, file)
    settings = LoopSettings(prompts=file, num_prompts=50)
    assert [len(sampling_prompts(settings, number)) for number in range(2)] == [5, 5]


def test_a_file_keeps_its_own_shares_whatever_its_order(tmp_path: Path) -> None:
    file, turned = tmp_path / "prompts.jsonl", tmp_path / "turned.jsonl"
    rows = [*CATS, *COUNTS]  # one twice: five of colours, two of counts
    write_prompts(rows, file)
    write_prompts(rows[::-1], turned)
    settings, other = (LoopSettings(prompts=path, num_prompts=7) for path in (file, turned))
    first = [sampling_prompts(settings, number) for number in range(2)]
    assert [Counter(p.tag for p in each) for each in first] == [{"colors": 5, "counting": 2}] * 2
    assert first[0] == first[1] != rows[:7]
    assert first == [sampling_prompts(other, number) for number in range(2)]


def test_the_rarer_tag_comes_again() -> None:
    taken = list(islice(drawn([*COUNTS, *CATS[:5]], equally=True), 6))
    assert [prompt.tag for prompt, _ in taken] == ["counting", "colors"] * 3
    assert [again for _, again in taken] == [0, 0, 0, 0, 1, 0]
    assert taken[4][0] == taken[0][0]


def test_a_round_goes_on_with_the_prompts_that_its_file_has(tmp_path: Path) -> None:
    settings, file = LoopSettings(num_prompts=6), tmp_path / "round-1" / "prompts.jsonl"
    asked = kept_prompts(settings, 0, file)
    assert asked == read_prompts(file) == sampling_prompts(settings, 0)
    write_prompts(CATS[:2], file)
    assert kept_prompts(settings, 0, file) == CATS[:2]


@pytest.mark.parametrize(("rounds", "size", "fit"), [(2, 96, 48), (1, 97, 96), (97, 1, None)])
def test_prompts_are_used_once_where_that_is_asked(rounds: int, size: int, fit: int | None) -> None:
    """16 single objects last for 96 prompts of all six tags."""
    settings = LoopSettings(rounds=rounds, num_prompts=size, reuse_prompts=False)
    said = f"set --num-prompts {fit} or leave" if fit else "leave"
    with pytest.raises(ValueError, match=f"those of single_object are used up after 96; {said}"):
        check(settings)
    check(settings.model_copy(update={"reuse_prompts": True}))
    if fit:
        check(settings.model_copy(update={"num_prompts": fit}))
