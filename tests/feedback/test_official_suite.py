"""The official prompts, drawn again, and training prompts that mean none of them."""

from hashlib import sha256

import pytest

from sipo.feedback.prompts.geneval_prompts import (
    CLASSES,
    COLORABLE,
    geneval_suite,
    geneval_train_suite,
    geneval_validation_suite,
)
from sipo.feedback.prompts.prompt import COLORS, TAGS
from sipo.feedback.prompts.suites import SUITES, TRAIN_SUITES, load_suite

OFFICIAL = "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"
"""Of `evaluation_metadata.jsonl` as published."""


def test_the_suite_is_the_published_file_byte_for_byte() -> None:
    suite = geneval_suite()
    written = "".join(prompt.to_json() + "\n" for prompt in suite)
    assert sha256(written.encode()).hexdigest() == OFFICIAL
    tags = [prompt.tag for prompt in suite]
    assert [tags.count(tag) for tag in TAGS] == [80, 99, 80, 94, 100, 100]
    assert (len(CLASSES), len(COLORABLE), len(COLORS)) == (80, 79, 10)


def test_training_prompts_mean_none_of_the_suite() -> None:
    suite = {prompt.meaning() for prompt in geneval_suite()}
    train = geneval_train_suite()
    meanings = [prompt.meaning() for prompt in train]
    assert suite.isdisjoint(meanings)
    assert len(set(meanings)) == len(meanings) > 5000
    counts = {tag: sum(prompt.tag == tag for prompt in train) for tag in TAGS}
    assert counts["single_object"] == 0
    assert counts["counting"] == 116
    assert counts["colors"] == 633
    start = [prompt.tag for prompt in train[:250]]
    assert min(start.count(tag) for tag in TAGS[1:]) > 20
    assert train == geneval_train_suite()


def test_what_is_chosen_by_means_nothing_of_the_suite_or_of_training_but_single_objects() -> None:
    chosen = geneval_validation_suite()
    meanings = {prompt.meaning() for prompt in chosen}
    assert len(meanings) == len(chosen) == 300
    assert [sum(p.tag == tag for p in chosen) for tag in TAGS] == [44, 54, 44, 50, 54, 54]
    assert meanings.isdisjoint(prompt.meaning() for prompt in geneval_train_suite())
    official = {prompt.meaning() for prompt in geneval_suite()}
    assert [p.tag for p in chosen if p.meaning() in official] == ["single_object"] * 44


def test_the_first_training_prompts_are_those_of_before_there_was_validation() -> None:
    """Folders of up to as many prompts go on."""
    rows = [prompt.to_json() + "\n" for prompt in geneval_train_suite()[:1191]]
    assert sha256("".join(rows).encode()).hexdigest()[:12] == "d608de1a3a93"


def test_what_is_left_of_the_whole_grid() -> None:
    """80 x 3 counts and 79 x 10 colours less the suite's 80 and 94."""
    tags = [prompt.tag for prompt in geneval_suite()]
    assert len(CLASSES) * 3 - tags.count("counting") == 160
    assert len(COLORABLE) * len(COLORS) - tags.count("colors") == 696


@pytest.mark.parametrize(
    ("name", "count", "digest"),
    [
        ("mini", 168, "5785b66d1f1f"),
        ("mini-train", 2260, "d9ee95a17dd7"),
        ("mini-validation", 140, "d8185a19e817"),
        ("geneval", 553, "5c48e0813e81"),
        ("geneval-train", 6037, "290ad11644cf"),
        ("geneval-validation", 300, "14c95139ad9e"),
    ],
)
def test_a_suite_is_the_same_to_the_byte(name: str, count: int, digest: str) -> None:
    """Folders are held to the hash of their prompts."""
    rows = [prompt.to_json() + "\n" for prompt in load_suite(name)]
    assert len(rows) == count
    assert sha256("".join(rows).encode()).hexdigest()[:12] == digest


def test_what_is_to_be_measured_is_not_to_be_learnt_from() -> None:
    assert set(TRAIN_SUITES) < set(SUITES)
    with pytest.raises(ValueError, match="'mini' is unknown; choose one of mini-train, geneval-tr"):
        load_suite("mini", TRAIN_SUITES)
