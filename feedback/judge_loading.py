"""How a judge's loader is called with what a user wrote, and what is said where that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from inspect import Parameter, signature
from pathlib import Path

from pydantic import ConfigDict, ValidationError, validate_call
from safetensors import SafetensorError

from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import TAGS

JudgeLoader = Callable[..., Judge]
"""(weights or None for its default, vocabulary, *, its own settings) -> Judge."""


def call_loader(
    name: str,
    loader: JudgeLoader,
    weights: str | Path | None,
    vocabulary: Sequence[str],
    settings: Mapping[str, object],
) -> Judge:
    """What is wrong with a setting's value, or with the files of the weights, is a ValueError."""
    check_names(f"judge {name!r}", settings, keywords(loader))
    _check_thresholds(name, settings.get("thresholds"))
    try:
        strict = ConfigDict(allow_inf_nan=False)
        return validate_call(config=strict)(loader)(weights, vocabulary, **settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        setting = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"judge {name!r}, setting {setting}: {first['msg']} (got {str(first['input'])[:80]!r})"
        ) from None
    except (OSError, RuntimeError, KeyError, SafetensorError) as error:
        if getattr(error, "errno", None) is not None:  # a path, a full disk: said as such
            raise
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
            raise  # out of memory, and what else is none of the files' fault
        reason = " ".join(" ".join(str(error).splitlines()[:2]).split())[:200]
        where = "" if weights is None else f" from {str(weights)!r}"
        raise ValueError(
            f"judge {name!r} cannot be loaded{where}: {reason}; get its files again"
        ) from None


def keywords(loader: Callable[..., object]) -> list[str]:
    """What it takes beside weights and vocabulary: its keyword-only arguments."""
    parameters = signature(loader).parameters.values()
    return [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]


def check_names(what: str, asked: Iterable[str], known: Sequence[str]) -> None:
    """Raises ValueError for a setting that is none of `known`."""
    for name in asked:
        if name not in known:
            near = get_close_matches(name, known, 1)
            takes = f"it takes {', '.join(known) or 'none'}"
            remedy = f"did you mean {near[0]}?" if near else takes
            raise ValueError(f"{what} has no setting {name!r}; {remedy}")


def _check_thresholds(name: str, thresholds: object) -> None:
    """Raises ValueError for what is no tag, and for a number that no score can be compared with.

    Other types are refused with the loader's other arguments.
    """
    for tag, value in thresholds.items() if isinstance(thresholds, Mapping) else ():
        where = f"judge {name!r}, setting thresholds"
        if tag not in TAGS:
            raise ValueError(f"{where}: {tag!r} is no tag; known are {', '.join(TAGS)}")
        if isinstance(value, bool) or (isinstance(value, int | float) and not 0 <= value <= 1):
            raise ValueError(f"{where}.{tag}: {value} must lie in [0, 1], as scores do")
