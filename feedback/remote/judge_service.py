"""What a served judge does with one request's JSON, whoever brings it.

Images come from strangers: they are decoded as such, and one that cannot be costs no other image
its verdict. Raises ValueError for a request that is none.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from sipo.common.pictures.decode import UnreadableError, decode
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import Prompt, prompt_of
from sipo.feedback.registry import (
    JUDGES,
    MOST_BOXES,
    JudgeSettings,
    load_judge,
    split_names,
    vocabulary_of,
)
from sipo.feedback.rule.verdict import Verdict, failed_verdict

MOST_IMAGES = 256  # of a request
MOST_CLASSES = 2000
LOADED = 2  # judges of that many vocabularies stay loaded
_LONGEST_NAME = 200
_ANY = ("object",)

Body = Mapping[str, Any]


class JudgeService:
    """One judge, which looks at the images of one request at a time.

    A prompt is a text, a text of `prompts` (which have its clauses), or a row of GenEval's. A
    detector looks for the classes of `extra.vocabulary`, else of `prompts`, else of the request.
    """

    def __init__(
        self,
        name: str,
        weights: str | Path | None = None,
        settings: str | Path | JudgeSettings | None = None,
        prompts: Sequence[Prompt] = (),
    ) -> None:
        """Loads the judge, unless it waits for a vocabulary. Raises ValueError as `load_judge`."""
        self._asked = name, weights, settings
        self._by_text = {prompt.text: prompt for prompt in prompts}
        self._classes = vocabulary_of(prompts)
        names = [one for one, _ in split_names(name)]
        self._detectors = ",".join(one for one in names if one in MOST_BOXES)
        self._looks_for_classes = any(
            one in MOST_BOXES or one not in JUDGES or one == "http" for one in names
        )
        self._loaded: OrderedDict[tuple[str, ...], Judge] = OrderedDict()
        self._one_at_a_time = Lock()
        self.images = self.requests = 0  # that were judged
        self._first: dict[str, object] | None = None
        try:
            self._first = self._judge(self._classes).describe()
        except ValueError as error:
            if self._classes or not str(error).startswith("vocabulary is empty"):
                raise
            self._judge(_ANY)  # what is wrong with its weights is said now

    @property
    def described(self) -> dict[str, object] | None:
        """None of a detector that no vocabulary has been named to."""
        return self._first

    def describe(self, body: object) -> dict[str, object]:
        """The judge's description for the `vocabulary` of the body."""
        given = _object(body, "the request").get("vocabulary") or ()
        with self._one_at_a_time:
            return {"judge": self._judge(_vocabulary(given) or self._classes).describe()}

    def compute(self, body: object) -> dict[str, object]:
        """`rewards`, `verdicts` and `judge` for `prompts` and `images` in base64.

        A reward is a score in [0, 1], None where the verdict is a failure.
        """
        asked = _object(body, "the request")
        if asked.get("videos"):
            raise ValueError("videos are not judged here; send frames as images")
        extra = _object(asked.get("extra") or {}, "extra")
        sent = _list(asked, "images", MOST_IMAGES)
        prompts = self._prompts(asked, extra, len(sent))
        if self._detectors:
            check_prompts(self._detectors, prompts, "the request")
        images = [_decoded(text) for text in sent]
        vocabulary = self._vocabulary_for(prompts, extra.get("vocabulary"))
        with self._one_at_a_time:
            judge = self._judge(vocabulary)
            verdicts = _judged(judge, images, prompts)
            self.images += len(verdicts)
            self.requests += 1
        return {
            "rewards": [verdict.score for verdict in verdicts],
            "verdicts": [v.model_dump(mode="json", exclude={"judge"}) for v in verdicts],
            "judge": judge.describe(),
        }

    def _prompts(self, asked: Body, extra: Body, count: int) -> list[Prompt]:
        key = "rows" if "rows" in extra else "prompts"
        rows = _list(extra if key == "rows" else asked, key, MOST_IMAGES)
        if len(rows) != count:
            raise ValueError(f"{len(rows)} {key} for {count} images; send one prompt each")
        return [self._prompt(row, f"{key}[{number}]") for number, row in enumerate(rows)]

    def _prompt(self, row: object, where: str) -> Prompt:
        known = self._by_text.get(row.strip()) if isinstance(row, str) else None
        return known or prompt_of(row, where)

    def _vocabulary_for(self, prompts: Sequence[Prompt], given: object) -> tuple[str, ...]:
        named = vocabulary_of(prompts)
        chosen = _vocabulary(given or ()) or self._classes or named
        if self._looks_for_classes and (strange := sorted(set(named) - set(chosen))):
            raise ValueError(
                f"class {strange[0][:80]!r} is not in the vocabulary that the judge looks for; "
                "name it in extra.vocabulary, or in --prompts of sipo-data serve-judge"
            )
        return chosen

    def _judge(self, vocabulary: tuple[str, ...]) -> Judge:
        """Loaded for these classes; for any where the judge looks for none."""
        key = vocabulary if self._looks_for_classes else ()
        if key not in self._loaded:
            name, weights, settings = self._asked
            judge = load_judge(name, weights, key, settings)
            if judge.describe().get("rule") == "majority":
                raise ValueError(
                    "ensemble rule 'majority' compares the images of a prompt, which may come in "
                    "several requests; choose mean or minimum to serve"
                )
            self._loaded[key] = judge
            while len(self._loaded) > LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _judged(
    judge: Judge, images: Sequence[Image.Image | str], prompts: Sequence[Prompt]
) -> list[Verdict]:
    """Of what could be decoded; for the rest a failure that says why not."""
    whole = [(i, p) for i, p in zip(images, prompts, strict=True) if not isinstance(i, str)]
    said = iter(judge.judge([i for i, _ in whole], [p for _, p in whole]) if whole else ())
    return [
        failed_verdict(i, judge.describe()) if isinstance(i, str) else next(said) for i in images
    ]


def _decoded(text: object) -> Image.Image | str:
    """The image, or why there is none."""
    if not isinstance(text, str):
        return "image is no base64 text"
    try:
        plain = text.partition(",")[2] if text.startswith("data:") else text
        return decode(base64.b64decode("".join(plain.split()), validate=True), foreign=True)
    except (binascii.Error, ValueError) as error:
        return str(error) if isinstance(error, UnreadableError) else "image is no base64 text"


def _object(value: object, what: str) -> Body:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is no JSON object")
    return value


def _list(body: Body, key: str, most: int) -> list[Any]:
    value = body.get(key)
    if not isinstance(value, list) or not 0 < len(value) <= most:
        raise ValueError(f"{key} is no list of 1 to {most}")
    return value


def _vocabulary(value: object) -> tuple[str, ...]:
    """Raises ValueError for what are no class names."""
    names = value if isinstance(value, list | tuple) else [None]
    if len(names) > MOST_CLASSES or not all(
        isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME for name in names
    ):
        raise ValueError(f"vocabulary is no list of at most {MOST_CLASSES} class names")
    return tuple(names)
