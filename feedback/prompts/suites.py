"""The sets of prompts that come with sipo, by name."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sipo.feedback.prompts.geneval_prompts import (
    geneval_suite,
    geneval_train_suite,
    geneval_validation_suite,
)
from sipo.feedback.prompts.mini_prompts import (
    mini_suite,
    mini_train_suite,
    mini_validation_suite,
)
from sipo.feedback.prompts.prompt import Prompt

SUITES: dict[str, Callable[[], list[Prompt]]] = {
    "geneval": geneval_suite,
    "geneval-train": geneval_train_suite,
    "geneval-validation": geneval_validation_suite,
    "mini": mini_suite,
    "mini-train": mini_train_suite,
    "mini-validation": mini_validation_suite,
}
"""`geneval` is the official one of 553 and `mini` the embedded world's: what is published. `-train`
are those to learn from, `-validation` those to choose settings by. No two of a world ask the same,
single objects excepted."""

TRAIN_SUITES = ("mini-train", "geneval-train")


def load_suite(name: str, known: Collection[str] = SUITES) -> list[Prompt]:
    """Its prompts. Raises ValueError for a name that is none of `known`."""
    if name not in known:
        raise ValueError(
            f"--suite {name!r} is unknown; choose one of {', '.join(known)}, or give a file of "
            "prompts with --prompts"
        )
    return SUITES[name]()
