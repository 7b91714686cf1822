"""Settings by judge, several judges as one, and the warning when two part."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.datagen.cli import main
from sipo.feedback.ensemble import make_ensemble, require_company
from sipo.feedback.fake import FakeJudge
from sipo.feedback.frames import FrameJudge
from sipo.feedback.judge import Judge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import JUDGES, load_judge, read_settings, split_names
from sipo.feedback.rule.verdict import Verdict, failed_verdict
from sipo.loop.reward_hacking import divergence_warning

CAT, DOG = grammar.single_object("cat"), grammar.single_object("dog")
BLANK = Image.new("RGB", (8, 8))


class Says:
    """Gives the scores it is told, in order; None fails. Correct from 0.5."""

    def __init__(self, *scores: float | None) -> None:
        self.scores = scores

    def describe(self) -> dict[str, Any]:
        return {"id": "says"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return [
            failed_verdict("told to", {})
            if score is None
            else Verdict(
                score=score,
                correct=score >= 0.5,
                reason="" if score >= 0.5 else "low",
                evidence={"raw": 10 * score},
            )
            for score in self.scores
        ]


def judged(
    rule: str, members: Sequence[Judge], prompts: Sequence[Prompt], **given: Any
) -> list[Verdict]:
    names = "abc"[: len(members)]
    ensemble = make_ensemble(names, members, rule=rule, **given)
    return ensemble.judge([BLANK] * len(prompts), prompts)


def test_weighted_mean() -> None:
    one, two = judged("mean", [Says(0.9, 0.2), Says(0.3, 0.6)], [CAT, DOG], weights={"a": 2})
    assert one.score == pytest.approx((2 * 0.9 + 0.3) / 3)
    assert one.correct
    assert two.score == pytest.approx(1 / 3)
    assert not two.correct
    assert two.reason == "a: low"
    assert two.evidence["b"] == {"score": 0.6, "correct": True, "raw": 6.0}


def test_minimum() -> None:
    one, two = judged("minimum", [Says(0.9, 0.7), Says(0.3, 0.6)], [CAT, CAT])
    assert (one.score, one.correct) == (0.3, False)
    assert (two.score, two.correct) == (0.6, True)


def test_majority_of_pairwise_preferences() -> None:
    """Scales of members do not matter, only the order within a prompt."""
    members = [Says(0.9, 0.8, 0.1, 0.5), Says(0.20, 0.21, 0.1, 0.5), Says(0.6, 0.5, 0.7, 0.5)]
    first, second, third, lonely = judged("majority", members, [CAT, CAT, CAT, DOG])
    # first beats second 2:1 and third 2:1; second beats third 2:1.
    assert [v.score for v in (first, second, third)] == pytest.approx([2 / 3, 1 / 2, 1 / 3])
    assert lonely.failure == "rule majority needs two images of a prompt at once"
    tied = judged("majority", [Says(0.4, 0.4)], [CAT, CAT])
    assert [verdict.score for verdict in tied] == [0.5, 0.5]


def test_a_majority_is_asked_about_whole_prompts(tmp_path: Path) -> None:
    several = make_ensemble(["a"], [Says(0.5)], rule="majority")
    require_company(several, 12, 6)
    require_company(make_ensemble(["a"], [Says(0.5)]), 16, 6)
    for batch, images in ((16, 6), (4, 8), (1, 1)):
        with pytest.raises(ValueError, match=rf"--batch-size {batch} parts the {images} images"):
            require_company(several, batch, images)
    with pytest.raises(ValueError, match="would compare the frames of one clip"):
        FrameJudge(several)
    words = ["generate", "--judge", "fake,fake", "--candidates", "6", "--num-prompts", "1"]
    file = tmp_path / "majority.json"
    file.write_text('{"ensemble": {"rule": "majority"}}')
    words += ["--judge-settings", str(file), "--out", str(tmp_path / "shards")]
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 2
    assert "--batch-size 16 parts the 6 images of a prompt" in refused.output


@pytest.mark.parametrize("rule", ["mean", "minimum", "majority"])
def test_a_member_s_failure_is_the_ensemble_s(rule: str) -> None:
    good, bad, other = judged(rule, [Says(0.9, 0.2, 0.4), Says(0.3, None, 0.5)], [CAT, CAT, CAT])
    assert bad.failure == "b: told to"
    assert bad.score is None
    assert not good.failed
    assert not other.failed


def test_several_names_make_an_ensemble(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"ensemble": {"rule": "minimum"}}))
    judge = load_judge("fake, mini-evaluator", None, ("cat",), file)
    about = judge.describe()
    assert (about["rule"], about["weights"]) == ("minimum", [0.5, 0.5])
    assert [member["id"] for member in about["members"]] == ["fake", "mini-evaluator"]
    verdict = judge.judge([Image.new("RGB", (64, 64))], [CAT])[0]
    assert not verdict.failed
    assert verdict.score == min(verdict.evidence[n]["score"] for n in ("fake", "mini-evaluator"))
    assert split_names("vlm=a/b=c,fake") == [("vlm", "a/b=c"), ("fake", None)]


@pytest.mark.parametrize(
    ("name", "weights", "settings", "says"),
    [
        ("faek", None, {}, r"--judge 'faek' is unknown; choose one of fake, yolo-world, owlv2"),
        ("fake,mini-evaluator", "x", {}, r"'x' does not say of which judge; write --judge fake=x"),
        ("fake", None, {"faek": {}}, r"judge settings for 'faek', which is no judge"),
        ("fake", None, {"fake": 3}, r"settings for 'fake' are 3; give a JSON object"),
        ("fake", None, {"fake": {"x": 3}}, r"'fake' has no setting 'x'; it takes none"),
        ("fake", None, {"fake": {"weights_sha256": "ab"}}, r"were made for weights ab"),
        ("yolo-world", None, {"yolo-world": {"colour": "clip"}}, r"did you mean color\?"),
        ("yolo-world", None, {"yolo-world": {"thresholds": {"colors": "x"}}}, r"thresholds.colors"),
        ("vlm", None, {"vlm": {"mean": "x"}}, r"judge 'vlm', setting mean: .* \(got 'x'\)"),
        ("fake,fake", None, {"ensemble": {"rule": "max"}}, r"rule 'max' is unknown; choose"),
        (
            "fake,fake",
            None,
            {"ensemble": {"weights": {"vlm": 1}}},
            r"for 'vlm', which is no member",
        ),
        (
            "fake,fake",
            None,
            {"ensemble": {"weights": {"fake": 0}}},
            r"0 of 'fake' must be positive",
        ),
        ("fake,fake", None, {"ensemble": {"weight": 1}}, r"ensemble has no setting 'weight'"),
    ],
)
def test_what_cannot_be_is_named(
    name: str, weights: str | None, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        load_judge(name, weights, ("cat",), settings)


def test_every_judge_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "judges.md").read_text()
    assert [
        name for name in JUDGES if f"| `{name}`" not in page and f", `{name}`" not in page
    ] == []


def test_a_judge_is_a_file_of_under_150_lines() -> None:
    names = {where.removeprefix("sipo.").partition(":")[0] for where in JUDGES.values()}
    files = [Path(__file__).parents[2] / f"{name.replace('.', '/')}.py" for name in names]
    assert [path.name for path in files if len(path.read_text().splitlines()) >= 150] == []


def test_several_judges_at_the_command_line() -> None:
    done = CliRunner().invoke(main, ["generate", "--judge", "fake", "--judge", "nobody"])
    assert done.exit_code == 2
    assert "--judge 'nobody' is unknown" in done.output


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.json' cannot be read"):
        read_settings(tmp_path / "nowhere.json")
    file = tmp_path / "settings.json"
    for text, says in (("{", "is not JSON"), ("[]", "is no JSON object")):
        file.write_text(text)
        with pytest.raises(ValueError, match=says):
            read_settings(file)


def test_evidence_is_written_where_there_is_some() -> None:
    plain = FakeJudge().judge([BLANK], [CAT])[0]
    assert "evidence" not in plain.model_dump()
    assert Verdict.model_validate_json(plain.model_dump_json()) == plain
    told = Says(0.7).judge([BLANK], [CAT])[0]
    assert told.model_dump(mode="json", exclude={"judge"})["evidence"] == {"raw": 7.0}
    assert Verdict.model_validate_json(told.model_dump_json()) == told


@pytest.mark.parametrize(
    ("reward", "held_out", "says"),
    [
        ([0.4], [0.4], None),
        ([0.40, 0.50, 0.60], [0.40, 0.48, 0.55], None),  # both rise
        ([0.40, 0.41], [0.40, 0.40], None),  # too little to speak of
        ([0.40, 0.38], [0.40, 0.35], None),  # both fall: bad, but no hacking
        (
            [0.40, 0.50, 0.60],
            [0.40, 0.50, 0.45],
            "since round 1 .* risen by 0.100 .* fallen by 0.050",
        ),
        ([0.40, 0.50, 0.60], [0.40, 0.41, 0.42], "of the 0.200 .* since round 0 .* sees 0.020"),
        ([0.40, 0.60], [0.40, 0.30], "since round 0 the reward judge has risen by 0.200"),
    ],
)
def test_divergence_of_reward_and_held_out_judge(
    reward: list[float], held_out: list[float], says: str | None
) -> None:
    warning = divergence_warning(reward, held_out)
    if says is None:
        assert warning is None
    else:
        assert re.search(says, str(warning))


def test_divergence_needs_one_number_a_round() -> None:
    with pytest.raises(ValueError, match="reward has 2 rounds and held_out 1"):
        divergence_warning([0.1, 0.2], [0.1])
