"""A judge held against people: error rates, what a gain means, and the command that says it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from test_calibration import write_layout

from sipo.common.believed_gain import NO_BETTER, TOO_FEW, believed_gain, gain_sentence
from sipo.common.two_judges import judge_agreement
from sipo.datagen.cli import main
from sipo.feedback.people_labels import read_labels
from sipo.feedback.worth_by_people import LabelledVerdict, least_score, worth_by_people

Rows = list[tuple[str, bool, bool]]


def judged(hits: int, rights: int, falses: int, wrongs: int) -> Rows:
    """Each image of a prompt of its own."""
    rows = [(f"r{n}", n < hits, True) for n in range(rights)]
    return rows + [(f"w{n}", n < falses, False) for n in range(wrongs)]


def test_a_gain_by_hand() -> None:
    """With s = .9, f = .2: of .4 right .48 are called correct, and of .6 .62; so .14 means .2."""
    before, after = (0.9 * p + 0.2 * (1 - p) for p in (0.4, 0.6))
    assert after - before == pytest.approx(0.14)
    found = believed_gain(judged(90, 100, 20, 100), 0.14)
    assert found.by_people == pytest.approx(0.2)
    assert found.false_positives == 0.2
    assert found.false_positives_alone == pytest.approx(0.2 + 0.14 / 0.5)
    assert found.interval is not None
    # s - f has the standard deviation sqrt(.9 .1 / 100 + .2 .8 / 100) = .05
    assert found.interval == pytest.approx((0.14 / 0.8, 0.14 / 0.6), abs=0.004)
    assert gain_sentence(found) == (
        f"a measured gain of +0.14 means +0.20 [{found.interval[0]:+.2f}, {found.interval[1]:+.2f}]"
        " by people if the judge errs as before, and nothing if its false positives went from 0.20 "
        "to 0.48"
    )
    assert believed_gain(judged(100, 100, 0, 100), -0.1).by_people == pytest.approx(-0.1)


def test_what_no_gain_can_be_read_from() -> None:
    found = believed_gain(judged(5, 10, 5, 10), 0.1)
    assert (found.by_people, found.interval, found.why_not) == (None, None, NO_BETTER)
    assert gain_sentence(found) == f"a measured gain of +0.10 means nothing: {NO_BETTER}"
    few = believed_gain(judged(2, 3, 1, 3), 0.1)
    assert few.by_people == pytest.approx(0.3)
    assert (few.interval, few.why_not) == (None, TOO_FEW)
    one = believed_gain([("a", True, True), ("a", False, False)], 0.1)
    assert (one.by_people, one.interval) == (0.1, None)
    assert believed_gain(judged(60, 100, 40, 100), 0.5).by_people == 1  # of a share no more
    assert believed_gain(judged(9, 10, 1, 10), 0.9).false_positives_alone is None


def test_images_of_a_prompt_are_one_unit() -> None:
    alone = judged(8, 10, 2, 10)
    twice = [row for row in alone for _ in range(2)]
    assert believed_gain(twice, 0.1).interval == believed_gain(alone, 0.1).interval


def test_kappa_by_hand() -> None:
    """Of 10: 5 both, 3 neither, 1 and 1: .8 agree, .6 .6 + .4 .4 = .52 by chance."""
    said = [(True, True)] * 5 + [(False, False)] * 3 + [(True, False), (False, True)]
    found = judge_agreement(said)
    assert (found.images, found.agree, found.only_a, found.only_b) == (10, 0.8, 1, 1)
    assert found.kappa == pytest.approx((0.8 - 0.52) / (1 - 0.52))


def row(prompt: str, right: bool, score: float) -> LabelledVerdict[float]:
    return LabelledVerdict(prompt, right, score >= 0.9, score)


def test_a_threshold_is_counted_on_prompts_that_did_not_choose_it() -> None:
    clean = [row(f"{n}", n % 2 == 0, 0.7 if n % 2 == 0 else 0.3) for n in range(8)]
    assert [least_score(clean)(row("", True, score)) for score in (0.45, 0.55)] == [False, True]
    found = worth_by_people(clean, least_score, "least score", 0.1, 2)
    assert (found.as_it_is.agreement.agree, found.as_it_is.hits.value) == (0.5, 0)
    assert found.as_it_is.gain.by_people is None
    assert found.chosen is not None
    assert (found.chosen.agreement.agree, found.chosen.agreement.kappa) == (1, 1)
    assert found.chosen.gain.by_people == pytest.approx(0.1)
    assert (found.undecided, found.prompts) == (2, 8)
    # what only fits its own half is no better on the other: each prompt has a scale of its own
    odd = [
        row(p, right, at + 0.01 * right) for p, at in (("a", 0.2), ("b", 0.8)) for right in (0, 1)
    ]
    chosen = worth_by_people(odd, least_score, "least score", 0.1, 0).chosen
    assert chosen is not None
    assert chosen.agreement.agree == 0.5
    one = [row("a", True, 0.7), row("a", False, 0.3)]
    assert worth_by_people(one, least_score, "least score", 0.1, 0).chosen is None
    for right, says in ((True, "calls all 2 images right; label images of both"), (False, "wrong")):
        with pytest.raises(ValueError, match=says):
            worth_by_people([row("a", right, 0.5)] * 2, least_score, "least score", 0.1, 0)


def test_labels_of_several_people(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    lines = (
        "image,right,rater\na.png,yes,ann\na.png,No,bob\na.png,1,cy\nb.png,0,ann\nc.png,true,ann"
    )
    file.write_text(f"{lines}\nc.png,false,bob\n", encoding="utf-8")
    assert read_labels(file) == {"a.png": True, "b.png": False, "c.png": None}
    listed = tmp_path / "labels.jsonl"
    listed.write_text('{"candidate": "00001-2", "right": false}\n', encoding="utf-8")
    assert read_labels(listed) == {"00001-2": False}
    for line, says in (
        ("", "has no labels; a row looks like"),
        ("[]", "line 1: no label; a row looks like"),
        ('{"right": true}', "line 1: names no image and no candidate, or both"),
        ('{"image": "a", "candidate": "b", "right": true}', "or both"),
        ('{"image": "a", "right": "maybe"}', "line 1: right is 'maybe'; write true or false"),
        ('{"image": "a"}', "line 1: right is 'None'"),
        ('{"pair": "a-b", "decision": "keep"}', r"sipo-data review, .* its own review\.jsonl"),
        ('{"item": "0", "order": ["a", "b"]}', r"sipo-geneval rank, .* sipo-geneval card EVAL"),
    ):
        listed.write_text(line, encoding="utf-8")
        with pytest.raises(ValueError, match=says):
            read_labels(listed)


def write_labels(path: Path, rows: list[tuple[str, bool]], column: str = "image") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([(column, "right"), *rows])
    return path


def calibrate(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["calibrate-judge", *map(str, words)])
    return done.exit_code, done.output


def test_a_detector_by_people(tmp_path: Path) -> None:
    """Scenes as they were drawn are right, and blank ones wrong."""
    images, out = tmp_path / "images", tmp_path / "judge.json"
    write_layout(images, per_tag=6)
    samples = sorted(images.glob("*/samples/*.png"))
    for path in samples[::2]:
        Image.new("RGB", (64, 64), "white").save(path)
    names = [str(path.relative_to(images)) for path in samples]
    people = write_labels(
        tmp_path / "people.csv",
        [(name, n % 2 == 1) for name, n in zip(names, range(12), strict=True)],
    )
    asked = (images, "--judge", "mini-evaluator", "--people", people, "--out", out)
    code, said = calibrate(*asked, "--gain", "0.2")
    assert code == 0, said
    assert "a measured gain of +0.20 means +0.2" in said
    assert "12 images of " in said
    kept = json.loads(out.read_text(encoding="utf-8"))
    assert set(kept["mini-evaluator"]["thresholds"]) > {"counting", "position"}
    worth = kept["calibration"]["mini-evaluator"]["people"]
    assert worth["as_it_is"]["false_positives"]["value"] == 0
    assert worth["as_it_is"]["hits"]["value"] > 0.6
    assert worth["chosen"]["agreement"]["images"] == 12
    assert worth["as_it_is"]["gain"]["measured"] == 0.2
    code, said = calibrate(*asked, "--json")
    assert (
        json.loads(said[said.index("{") :])["calibration"]
        == json.loads(out.read_text())["calibration"]
    )
    write_labels(people, [("00099/samples/0000.png", True)])
    code, said = calibrate(*asked)
    assert code == 2
    assert "which is none of the 12 images" in said
    write_labels(people, [(names[0], True)])
    code, said = calibrate(*asked)
    assert code == 2
    assert "--people calls all 1 images right; label images of both kinds" in said


def test_any_judge_by_people(tmp_path: Path) -> None:
    """One that has no thresholds, on images of plain texts, without labels in the list."""
    rows, labels = [], []
    for n in range(6):
        Image.new("RGB", (8, 8), (40 * n, 0, 0)).save(tmp_path / f"{n}.png")
        rows.append({"image": f"{n}.png", "prompt": {"prompt": f"a colour {n}"}})
        labels.append((f"{n}.png", n < 3))
    listed = tmp_path / "list.jsonl"
    listed.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    people = write_labels(tmp_path / "people.csv", labels)
    out = tmp_path / "judge.json"
    code, said = calibrate(listed, "--judge", "fake", "--people", people, "--out", out)
    assert code == 0, said
    kept = json.loads(out.read_text(encoding="utf-8"))
    assert kept["calibration"]["fake"]["people"]["threshold"] == "least score"
    code, said = calibrate(listed, "--judge", "yolo-world", "--people", people, "--out", out)
    assert code == 2
    assert "looks for the objects of a prompt" in said
