"""Validation while training: what it measures, when it warns, ends a run, chooses a policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alike import assert_close_weights, same_bits
from memory_pairs import MemoryPairs, Run
from PIL import Image

from sipo.backbones.base import LORA_FILE
from sipo.common.pictures.faults import spoiled
from sipo.common.pictures.sharpness import sharpness
from sipo.feedback.fake import FakeJudge
from sipo.feedback.judge_batches import judge_sound
from sipo.feedback.prompts import grammar
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict, failed_verdict
from sipo.train.monitor.health import Health
from sipo.train.monitor.panels import LOOKS
from sipo.train.monitor.plot import plot
from sipo.train.monitor.validation import Validation, fall, summarise

CAT, DOG, CATS = (
    grammar.single_object("cat"),
    grammar.single_object("dog"),
    grammar.counting("cat", 2),
)


def verdict(correct: bool, boxes: int = 1) -> Verdict:
    box = Box(class_name="cat", xyxy=(0.0, 0.0, 1.0, 1.0), score=1.0)
    own = {"boxes": [box] * boxes, "judge": {"id": "x"}, "reason": ""}
    return Verdict(score=float(correct), correct=correct, **own)


def test_overall_is_the_mean_over_tags_of_the_mean_over_prompts() -> None:
    """single_object: cat 1/2, dog 1 -> 3/4; counting 0; Overall 3/8. One of five is empty."""
    asked = [CAT, CAT, DOG, DOG, CATS]
    seen = summarise(asked, [*map(verdict, (True, False, True, True)), verdict(False, boxes=0)])
    assert seen["overall"] == pytest.approx(3 / 8)
    assert seen["prompts"] == {
        "single_object": {CAT.text: 0.5, DOG.text: 1.0},
        "counting": {CATS.text: 0.0},
    }
    assert seen["empty_share"] == pytest.approx(1 / 5)
    assert seen["single_object_confidence"] == pytest.approx(1 / 2)  # both cats, and no dog


def test_all_failed_is_said_with_the_cause() -> None:
    failed = failed_verdict("cannot see", {})
    with pytest.raises(ValueError, match=r"failed on all 2 images \(cannot see\)"):
        summarise([CAT, DOG], [failed, failed])
    assert summarise([CAT, DOG], [failed, verdict(True)])["overall"] == 1.0


def test_a_look_of_failures_is_no_look_but_the_first_ends_the_run(
    run: Run, tmp_path: Path, prompts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks after each of 4 steps: the second and, after a restart, the third see nothing."""
    given = {"validation_judge": "fake", "validation_prompts": prompts, "validation_pairs": 2}
    whole, looks = FakeJudge.judge, iter(["sees", "", "", "sees"])

    def judge(self: FakeJudge, images: Any, asked: Any) -> list[Verdict]:
        judged = whole(self, images, asked)
        sees = next(looks)
        return judged if sees else [failed_verdict("cannot see", {}) for _ in judged]

    monkeypatch.setattr(FakeJudge, "judge", judge)
    run("one", pairs(), **given, train_batch_size=8, max_train_steps=2)
    summary = run("one", pairs(), **given, train_batch_size=8, max_train_steps=4)
    assert ["validation" in row for row in rows(tmp_path / "one")] == [True, False, False, True]
    assert "failed on all 6 images (cannot see)" in rows(tmp_path / "one")[1]["validation_failed"]
    assert [text[:13] for text in summary.warnings if "saw nothing" in text] == ["steps 2 to 3:"]
    looks = iter([""])
    with pytest.raises(ValueError, match=r"failed on all 6 images \(cannot see\)"):
        run("blind", pairs(), **given, train_batch_size=8)


def look(**shares: list[float]) -> dict[str, Any]:
    prompts = {tag: {str(i): x for i, x in enumerate(own)} for tag, own in shares.items()}
    overall = sum(sum(own) / len(own) for own in shares.values()) / len(shares)
    return {"overall": overall, "prompts": prompts, "empty_share": 0.0}


def test_fall_is_paired_and_stratified() -> None:
    """Tag a loses 1 of 8, tag b 0: the mean over tags 1/16. The resampled loss of a is Binomial(8,
    1/8) / 8, whose 97.5 % quantile is 3/8: half of it, and 0, bound the fall, which is not clear.
    """
    before = look(a=[1] * 8, b=[0.5] * 8)["prompts"]
    once, always = ([0, *[1] * 7], [0] * 8)
    assert fall(before, look(a=once, b=[0.5] * 8)["prompts"]) is None
    found = fall(before, look(a=always, b=[0.5] * 8)["prompts"])
    assert found is not None
    assert (found.difference, found.interval) == (-0.5, (-0.5, -0.5))
    assert fall(look(a=always)["prompts"], look(a=[1] * 8)["prompts"]) is None  # a rise


def test_a_fall_of_few_prompts_is_none() -> None:
    """A tag of one prompt has no interval; five that all fall are chance in 6 % of cases."""
    one = fall(look(a=[1] * 6, b=[1])["prompts"], look(a=[1] * 6, b=[0])["prompts"])
    five = fall(look(a=[1] * 5)["prompts"], look(a=[0] * 5)["prompts"])
    assert one is five is fall(look(a=[1])["prompts"], look(a=[0])["prompts"]) is None
    assert fall(look(a=[1] * 6)["prompts"], look(a=[0] * 6)["prompts"]) is not None


def test_a_fall_beyond_the_interval_is_a_collapse() -> None:
    health = Health()
    good, noise, bad = look(a=[1.0] * 8), look(a=[1.0] * 7 + [0.0]), look(a=[0.0] * 7 + [1.0])
    said = [
        health.look({"step": step, "validation": seen})
        for step, seen in enumerate([noise, good, noise, bad])
    ]
    assert said[:3] == [[], [], []]
    assert said[3][0].startswith("validation fell to 0.125, below the 1.000 of step 1 by 0.875 [")
    assert health.best is not None
    assert health.best["step"] == 1


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(p.to_json() + "\n" for p in (CAT, DOG, CATS)))
    return str(file)


def pairs() -> MemoryPairs:
    made = MemoryPairs(5)
    made.meta["sampler"] = {"steps": 2, "guidance": 2.0}
    return made


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_it_samples_and_judges_every_so_many_pairs_and_changes_nothing(
    run: Run, tmp_path: Path, prompts: str
) -> None:
    """4 steps of 2 pairs, a look after each 3 pairs and at the end: after steps 2, 3 and 4."""
    given = {"validation_judge": "fake", "validation_prompts": prompts, "validation_pairs": 3}
    run("watched", pairs(), **given)
    run("plain", pairs())
    out = tmp_path / "watched"
    assert [row["step"] for row in rows(out) if "validation" in row] == [2, 3, 4]
    assert {path.name for path in (out / "validation").iterdir()} == {
        f"step-{step}.png" for step in (2, 3, 4)
    }
    with Image.open(out / "validation" / "step-4.png") as sheet:
        assert sheet.size == (6 * 16, 16)
        shown = [sheet.crop((16 * at, 0, 16 * at + 16, 16)) for at in range(6)]
    seen = rows(out)[-1]["validation"]
    assert seen["sharpness"] == pytest.approx(sum(map(sharpness, shown)) / 6)
    assert seen["single_object_confidence"] is None  # that judge has no boxes
    start = tmp_path / "plain" / "checkpoint-2" / LORA_FILE
    assert_close_weights(out / LORA_FILE, tmp_path / "plain" / LORA_FILE, start)


def test_plot_shows_what_validation_saw(
    tmp_path: Path, run: Run, prompts: str, undrawn: list[object]
) -> None:
    """Only what there is: a judge without boxes is not sure of anything, older logs have less."""
    given = {"validation_judge": "fake", "validation_prompts": prompts, "validation_pairs": 4}
    run("new", pairs(), **given)
    kept = rows(run_folder := tmp_path / "new")
    drawn = plot([run_folder], tmp_path / "drawn").read_text()
    titles = [look.title for look in LOOKS if look.title in drawn]
    assert titles == ["Validation: Overall", "Validation: empty images", "Validation: sharpness"]
    for row in kept:
        if "validation" in row:
            del row["validation"]["sharpness"], row["validation"]["single_object_confidence"]
    (run_folder / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in kept))
    drawn = plot([run_folder], tmp_path / "older").read_text()
    assert [look.title for look in LOOKS if look.title in drawn] == titles[:2]


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch, prompts: str) -> dict[str, Any]:
    """Validation that is best after step 2 and collapses after step 3."""
    seen = {1: look(a=[0.0] * 8), 2: look(a=[1.0] * 8), 3: look(a=[0.0] * 8), 4: look(a=[0.5] * 8)}
    monkeypatch.setattr(Validation, "look", lambda self, step: seen[step])
    return {"validation_judge": "fake", "validation_prompts": prompts, "validation_pairs": 2}


def test_stop_on_collapse_ends_the_run(
    run: Run, tmp_path: Path, falling: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    summary = run("stopped", pairs(), stop_on_collapse=True, **falling)
    assert (summary.steps, summary.stopped, summary.pairs_seen) == (3, True, 6)
    assert run("stopped", pairs(), stop_on_collapse=True, **falling) == summary
    assert "is finished (checkpoint-3)" in capsys.readouterr().err
    onwards = run("stopped", pairs(), **falling)
    assert (onwards.steps, onwards.stopped) == (4, False)


@pytest.mark.parametrize("full", [False, True])
def test_keep_best_ends_with_the_best_policy(
    run: Run, tmp_path: Path, falling: dict[str, Any], full: bool
) -> None:
    summary = run("best", pairs(), keep_best=True, full=full, **falling)
    assert (summary.steps, summary.policy_of_step) == (4, 2)
    file = "unet/diffusion_pytorch_model.safetensors" if full else LORA_FILE
    out = tmp_path / "best"
    assert same_bits(out / file, out / "checkpoint-2" / file)
    assert not same_bits(out / file, out / "checkpoint-4" / file)


@pytest.mark.parametrize("name", ["stop_on_collapse", "keep_best"])
def test_what_acts_on_validation_needs_it(run: Run, name: str) -> None:
    with pytest.raises(ValueError, match=f"--{name} acts on validation"):
        run("x", **{name: True})


def test_a_look_at_pictures_of_nan_says_so_and_measures_nothing() -> None:
    broken = spoiled(Image.new("RGB", (8, 8)), "pixels are not finite")
    whole = Image.new("RGB", (8, 8), "red")
    verdicts = judge_sound(FakeJudge(), [broken, whole], [CAT, CAT])
    assert [v.failure for v in verdicts] == ["pixels are not finite", None]
    assert summarise([CAT, CAT], verdicts)["prompts"].keys() == {"single_object"}
    with pytest.raises(ValueError, match=r"failed on all 1 images \(pixels are not finite\)"):
        summarise([CAT], verdicts[:1])
