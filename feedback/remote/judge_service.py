"""What a served judge does with one request's JSON, whoever brings it.

Images come from strangers: they are decoded as such, and one that cannot be costs no other image
its verdict. Raises ValueError for a request that is none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from PIL import Image

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
from sipo.feedback.remote.judge_requests import (
    IDENTITY,
    MOST_IMAGES,
    Body,
    decoded,
    last_turn,
    list_in,
    object_in,
    row_of,
    vocabulary_in,
)
from sipo.feedback.remote.score_replies import REWARD
from sipo.feedback.rule.verdict import Verdict, failed_verdict

LOADED = 2  # judges of that many vocabularies stay loaded
_ANY = ("object",)


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
        given = object_in(body, "the request").get("vocabulary") or ()
        with self._one_at_a_time:
            return {"judge": self._judge(vocabulary_in(given) or self._classes).describe()}

    def compute(self, body: object) -> dict[str, object]:
        """`rewards`, `verdicts` and `judge` for `prompts` and `images` in base64.

        A reward is a score in [0, 1], None where the verdict is a failure.
        """
        asked = object_in(body, "the request")
        if asked.get("videos"):
            raise ValueError("videos are not judged here; send frames as images")
        judge, verdicts = self._verdicts(asked, object_in(asked.get("extra") or {}, "extra"))
        return {
            "rewards": [verdict.score for verdict in verdicts],
            "verdicts": [v.model_dump(mode="json", exclude={"judge"}) for v in verdicts],
            "judge": judge.describe(),
        }

    def score(self, body: object) -> dict[str, object]:
        """The same as UniRL asks: `requests`, whose last turn of `history` has text and image.

        A row of GenEval's in `metadata` goes before the text.
        """
        asked = list_in(object_in(body, "the request"), "requests", MOST_IMAGES)
        items = [object_in(item, f"requests[{n}]") for n, item in enumerate(asked)]
        turns = [last_turn(item, f"requests[{n}]") for n, item in enumerate(items)]
        rows = [row_of(item) or turn.get("text") for item, turn in zip(items, turns, strict=True)]
        images = [turn.get("image_b64") for turn in turns]
        verdicts = self._verdicts({"prompts": rows, "images": images}, {})[1]
        return {
            "protocol_version": "1",
            "results": [{} if v.failed else {REWARD: {"score": v.score}} for v in verdicts],
            "errors": [{REWARD: v.failure} if v.failed else {} for v in verdicts],
            "identities": [{name: item.get(name) for name in IDENTITY} for item in items],
        }

    def _verdicts(self, asked: Body, extra: Body) -> tuple[Judge, list[Verdict]]:
        sent = list_in(asked, "images", MOST_IMAGES)
        prompts = self._prompts(asked, extra, len(sent))
        if self._detectors:
            check_prompts(self._detectors, prompts, "the request")
        images = [decoded(text) for text in sent]
        vocabulary = self._vocabulary_for(prompts, extra.get("vocabulary"))
        with self._one_at_a_time:
            judge = self._judge(vocabulary)
            verdicts = _judged(judge, images, prompts)
            self.images += len(verdicts)
            self.requests += 1
        return judge, verdicts

    def _prompts(self, asked: Body, extra: Body, count: int) -> list[Prompt]:
        key = "rows" if "rows" in extra else "prompts"
        rows = list_in(extra if key == "rows" else asked, key, MOST_IMAGES)
        if len(rows) != count:
            raise ValueError(f"{len(rows)} {key} for {count} images; send one prompt each")
        return [self._prompt(row, f"{key}[{number}]") for number, row in enumerate(rows)]

    def _prompt(self, row: object, where: str) -> Prompt:
        known = self._by_text.get(row.strip()) if isinstance(row, str) else None
        return known or prompt_of(row, where)

    def _vocabulary_for(self, prompts: Sequence[Prompt], given: object) -> tuple[str, ...]:
        named = vocabulary_of(prompts)
        chosen = vocabulary_in(given or ()) or self._classes or named
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
