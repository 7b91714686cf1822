"""Words that a model never hears: what its text encoders cut off of a prompt, said once.

diffusers says it for every batch, and also where a second encoder reads on; it is told not to.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from sipo.backbones.base import Backbone
from sipo.common.bars import say
from sipo.common.processes import this_process

NAMED = 3  # prompts of a sentence
_THEIRS = (
    "The following part of your input was truncated",
    "Token indices sequence length is longer",
    "Kwargs passed to `processor.__call__` have to be",  # as diffusers calls FLUX.2's
)


def say_lost(backbone: Backbone, texts: Sequence[str]) -> None:
    """How many of the prompts lose words, and of the first ones which. Of several processes one
    says it."""
    pipeline = getattr(backbone, "pipeline", None)
    if this_process().rank or not isinstance(pipeline, DiffusionPipeline):
        return
    before = backbone.said_before()
    if lost := lost_words(pipeline, texts, before):
        limit = limit_of(pipeline, before)
        some = [f"number {n + 1} loses {lost[n][:60]!r}" for n in list(lost)[:NAMED]]
        more = f", and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        say(
            f"warning: {len(lost)} of {len(texts)} prompts are longer than {backbone.name!r} reads "
            f"(tokens {limit}): {', '.join(some)}{more}; shorten them to be heard"
        )


def lost_words(
    pipeline: DiffusionPipeline, texts: Sequence[str], before: str = ""
) -> dict[int, str]:
    """By the number of a text what none of the encoders reads of it: of several the one that reads
    furthest counts. `before` is said before each."""
    lost: dict[int, str] = {}
    longest = limit_of(pipeline, before)
    for number, text in enumerate(texts):
        if len(text) + 2 <= longest:  # a token has a letter at least
            continue
        cut = [
            _cut(tokenizer, limit, text, ends=not before)
            for tokenizer, limit in _readers(pipeline, before)
        ]
        if cut and all(cut):
            lost[number] = min(cut, key=len)
    return lost


def limit_of(pipeline: DiffusionPipeline, before: str = "") -> int:
    return max((limit for _, limit in _readers(pipeline, before)), default=0)


def _readers(pipeline: DiffusionPipeline, before: str) -> Iterator[tuple[Any, int]]:
    """Tokenizers, and how many tokens of a text are read: CLIP has its positions, others what
    diffusers' call takes, which may be another number than its `encode_prompt`'s, or what the
    pipeline says of each."""
    asked = inspect.signature(type(pipeline).__call__).parameters.get("max_sequence_length")
    for name, part in pipeline.components.items():
        if not name.startswith("tokenizer") or part is None:
            continue
        tokenizer = getattr(part, "tokenizer", part)  # one that sees, too, is a processor
        own = int(getattr(pipeline, f"{name}_max_length", tokenizer.model_max_length))
        further = asked is not None and "CLIP" not in type(tokenizer).__name__
        limit = int(asked.default) if further and asked and asked.default else own
        yield tokenizer, limit - (len(_ids(tokenizer, before, ends=False)) if before else 0)


def _ids(tokenizer: Any, text: str, ends: bool) -> list[int]:
    found = tokenizer(text, truncation=False, verbose=False, add_special_tokens=ends)
    return list(found["input_ids"])


def _cut(tokenizer: Any, limit: int, text: str, ends: bool) -> str:
    """What stands after the last token that is read; "" where nothing does. `ends`: one token is
    the end's."""
    ids = _ids(tokenizer, text, ends)
    left = ids[limit - 1 : -1] if ends else ids[limit:]
    left = left if len(ids) > limit else []
    return str(tokenizer.decode(left)).strip() if left else ""


def _not_theirs(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_THEIRS)


for library in (diffusers_logging, transformers_logging):
    library.get_logger(__name__)  # a library's handler is made with its first logger
    for handler in logging.getLogger(library.__name__.partition(".")[0]).handlers:
        handler.addFilter(_not_theirs)
