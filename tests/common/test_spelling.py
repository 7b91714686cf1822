"""A setting is named as its caller writes it: --batch-size 0 in a shell, batch_size=0 in Python."""

from __future__ import annotations

import pytest

from sipo.common.errors import explain, in_python_words, python_words
from sipo.datagen.settings import GenerateSettings
from sipo.train.settings import SettingError, make_settings


@pytest.mark.parametrize(
    ("sentence", "in_python"),
    [
        ("--batch-size 0: too few", "batch_size=0: too few"),
        ("--judge 'nobody' is unknown", "judge='nobody' is unknown"),
        ("--guidance -1.5 is negative", "guidance=-1.5 is negative"),
        ("--data ['a', 'b'] holds no pairs", "data=['a', 'b'] holds no pairs"),
        ("--height None: no number", "height=None: no number"),
        ("--prompts and --suite were both given", "prompts and suite were both given"),
        ("--full trains it; leave one out", "full trains it; leave one out"),
        ("see sipo-train --help", "see sipo-train --help"),
        ("'runs/--odd' and '--odd' are folders", "'runs/--odd' and '--odd' are folders"),
        ("nothing -- at all", "nothing -- at all"),
    ],
)
def test_a_sentence_in_pythons_words(sentence: str, in_python: str) -> None:
    assert python_words(sentence) == in_python


def test_a_value_that_pydantic_refuses() -> None:
    with pytest.raises(ValueError) as refused:
        GenerateSettings(batch_size=0)
    assert explain(refused.value) == ("--batch-size 0: Input should be greater than or equal to 1")
    with pytest.raises(ValueError, match=r"^batch_size=0: Input should be"), in_python_words():
        GenerateSettings(batch_size=0)


def test_the_kind_of_the_error_stays() -> None:
    with (
        pytest.raises(SettingError, match=r"^train_batch_size=0: Input") as refused,
        in_python_words(),
    ):
        make_settings({"train_batch_size": 0})
    assert refused.value.name == "train_batch_size"
    with (
        pytest.raises(ValueError, match=r"^max_train_steps and pairs_seen both"),
        in_python_words(),
    ):
        make_settings({"max_train_steps": 1, "pairs_seen": 1})


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(KeyError, match="--odd"), in_python_words():
        raise KeyError("--odd")
