"""Several judges as one: weighted mean, minimum, or the majority of their pairwise preferences.

A judge that trains a policy is learnt by heart (Gao et al. 2022); several that fail differently are
harder to please wrongly. The judge that measures progress must be none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from sipo.feedback.judge import Judge, sees_clips
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict, failed_verdict

if TYPE_CHECKING:
    from PIL import Image

MOST_WEIGHT = 1e6  # against another member's 1: more is a slip
Rule = Literal["mean", "minimum", "majority"]
RULES: tuple[Rule, ...] = get_args(Rule)


class EnsembleJudge:
    """Members look at every image; one that fails makes the ensemble's verdict a failure.

    `majority` compares the images of a prompt that are judged in one call: a score is the share of
    (member, other image) comparisons won by weight, a tie half. So all candidates of a prompt must
    come together, and a prompt with one image is a failure.
    """

    def __init__(
        self, names: Sequence[str], members: Sequence[Judge], weights: Sequence[float], rule: Rule
    ) -> None:
        self.names = tuple(names)
        self.members = tuple(members)
        total = sum(weights)
        self.weights = tuple(weight / total for weight in weights)
        self.rule = rule

    def describe(self) -> dict[str, object]:
        return {
            "id": "ensemble",
            "rule": self.rule,
            "weights": list(self.weights),
            "members": [member.describe() for member in self.members],
        }

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        description = self.describe()
        by_member = [member.judge(images, prompts) for member in self.members]
        seen: list[Sequence[Verdict]] = list(zip(*by_member, strict=True))
        scores = self._scores(seen, prompts)
        return [
            self._verdict(one, score, description) for one, score in zip(seen, scores, strict=True)
        ]

    def _scores(
        self, seen: Sequence[Sequence[Verdict]], prompts: Sequence[Prompt]
    ) -> list[float | None]:
        """One an image; None where a member failed or there was nothing to compare with."""
        if self.rule == "majority":
            return majority_scores(seen, [prompt.key for prompt in prompts], self.weights)
        return [combine(self.rule, _known(one), self.weights) for one in seen]

    def _verdict(
        self, seen: Sequence[Verdict], score: float | None, description: dict[str, object]
    ) -> Verdict:
        named = list(zip(self.names, seen, strict=True))
        for name, verdict in named:
            if verdict.failed:
                return failed_verdict(f"{name}: {verdict.failure}", description)
        if score is None:
            return failed_verdict("rule majority needs two images of a prompt at once", description)
        wrong = tuple(
            Complaint(name, "member", "", v.complaints) for name, v in named if not v.correct
        )
        agree = sum(w for w, v in zip(self.weights, seen, strict=True) if v.correct)
        correct = not wrong if self.rule == "minimum" else agree > 0.5
        return Verdict(
            score=score,
            correct=correct,
            complaints=() if correct else wrong,
            boxes=next((v.boxes for v in seen if v.boxes), ()),
            judge=description,
            evidence={
                name: {"score": v.score, "correct": v.correct, **v.evidence} for name, v in named
            },
        )


def combine(rule: Rule, scores: Sequence[float] | None, weights: Sequence[float]) -> float | None:
    """Members' scores in [0, 1] as one; `weights` sum to 1. None stays None."""
    if scores is None:
        return None
    if rule == "minimum":
        return min(scores)
    return _unit(sum(w * s for w, s in zip(weights, scores, strict=True)))


def _unit(share: float) -> float:
    """Weights sum to 1 but for rounding."""
    return min(1.0, max(0.0, share))


def majority_scores(
    seen: Sequence[Sequence[Verdict]], texts: Sequence[str], weights: Sequence[float]
) -> list[float | None]:
    """Borda's count within each prompt: the mean over the others of the weight that prefers it."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, (one, text) in enumerate(zip(seen, texts, strict=True)):
        if _known(one) is not None:
            groups[text].append(number)
    scores: list[float | None] = [None] * len(seen)
    for group in groups.values():
        for a in group:
            won = [preference(_known(seen[a]), _known(seen[b]), weights) for b in group if b != a]
            scores[a] = _unit(sum(won) / len(won)) if won else None
    return scores


def preference(
    a: Sequence[float] | None, b: Sequence[float] | None, weights: Sequence[float]
) -> float:
    """The weight of the members that put `a` before `b`, ties half."""
    assert a is not None
    assert b is not None
    return sum(w * ((x > y) + 0.5 * (x == y)) for x, y, w in zip(a, b, weights, strict=True))


def make_ensemble(
    names: Sequence[str], members: Sequence[Judge], *, rule: object = "mean", weights: object = None
) -> EnsembleJudge:
    """By "ensemble" of a settings file: one of RULES, and weights by judge.

    Raises ValueError for another rule, a weight of no member or one that is not positive.
    """
    if (chosen := next((one for one in RULES if one == rule), None)) is None:
        raise ValueError(f"ensemble rule {rule!r} is unknown; choose one of {', '.join(RULES)}")
    if not isinstance(weights, Mapping | None):
        raise ValueError(f"ensemble weights {weights!r} are no weight by judge; give an object")
    if whole := [n for n, one in zip(names, members, strict=True) if sees_clips(one)]:
        raise ValueError(
            f"judge {whole[0]!r} looks at clips, whole, and the others of several at images; judge "
            "by it alone"
        )
    by_name = dict.fromkeys(names, 1.0) | dict(weights or {})
    for name, weight in by_name.items():
        if name not in names:
            raise ValueError(f"ensemble weight for {name!r}, which is no member; leave it out")
        where = f"ensemble weight {str(weight)[:80]} of {name!r}"
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise ValueError(f"{where} is no number")
        if not 0 < weight <= MOST_WEIGHT:
            raise ValueError(f"{where} must be positive, and {MOST_WEIGHT:g} at most")
    return EnsembleJudge(names, members, [by_name[name] for name in names], chosen)


def require_company(judge: Judge, batch_size: int, images: int) -> None:
    """Raises ValueError where batches part the `images` of a prompt that `majority` compares."""
    if judge.describe().get("rule") == "majority" and (batch_size % images or images < 2):
        raise ValueError(
            f"--batch-size {batch_size} parts the {images} images of a prompt, which the ensemble "
            f"rule 'majority' compares; give a multiple of {max(images, 2)}, or more images"
        )


def _known(seen: Sequence[Verdict]) -> list[float] | None:
    scores = [verdict.score for verdict in seen if verdict.score is not None]
    return scores if len(scores) == len(seen) else None
