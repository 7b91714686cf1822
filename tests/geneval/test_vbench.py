"""VBench's names and scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipo.feedback.prompts.prompt import plain_text
from sipo.geneval.cli import main
from sipo.geneval.layout import image_name, write_prompt_folders
from sipo.geneval.vbench.export_clips import export_clips, read_list
from sipo.geneval.vbench.paired_clips import compare_vbench
from sipo.geneval.vbench.scores import QUALITY, SEMANTIC, vbench_scores

COGVIDEOX_5B = (
    *(96.23, 96.52, 98.66, 96.92, 70.97, 61.98, 62.90),
    *(85.23, 62.11, 99.40, 82.81, 66.35, 53.20, 24.91, 25.38, 27.59),
)
"""The published row in percent, in the order of QUALITY and SEMANTIC."""


def golden() -> dict[str, list[object]]:
    names = [*QUALITY, *SEMANTIC]
    return {n: [v / 100, []] for n, v in zip(names, COGVIDEOX_5B, strict=True)}


def test_the_published_row_gives_the_published_scores(tmp_path: Path) -> None:
    path = tmp_path / "cog_eval_results.json"
    path.write_text(json.dumps(golden()))
    scores = vbench_scores([path])
    assert round(scores.quality, 6) == 0.827560
    assert round(scores.semantic, 6) == 0.770374
    assert round(scores.total, 6) == 0.816123
    printed = CliRunner().invoke(main, ["vbench", str(path), "--json"])
    assert printed.exit_code == 0, printed.output
    said = json.loads(printed.output)
    assert said == {name: getattr(scores, name) for name in ("total", "quality", "semantic")}
    table = CliRunner().invoke(main, ["vbench", str(path)]).output
    assert f"{'total':35}0.8161" in table
    assert f"{'dynamic degree':23}0.7097      0.7097" in table


def test_one_file_a_dimension_is_the_same(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}_eval_results.json" for name in golden()]
    for path, (name, row) in zip(paths, golden().items(), strict=True):
        path.write_text(json.dumps({name.replace("_", " "): row}))
    assert round(vbench_scores(paths).total, 6) == 0.816123
    with pytest.raises(ValueError, match="lacks overall_consistency; evaluate"):
        vbench_scores(paths[:-1])
    assert vbench_scores([tmp_path]) == vbench_scores(paths)
    (tmp_path / "other_eval_results.json").write_text(json.dumps({"scene": [0.5, []]}))
    with pytest.raises(ValueError, match="differ in scene; give the files of one evaluation"):
        vbench_scores([tmp_path])


def test_files_that_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        vbench_scores([tmp_path / "nowhere.json"])
    for text in ("[]", '{"scene": 3}', "no json"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ValueError, match="give VBench's"):
            vbench_scores([tmp_path / "x.json"])
    for score in (96.23, float("nan")):
        (tmp_path / "x.json").write_text(json.dumps({"scene": [score, []]}))
        with pytest.raises(ValueError, match="which is not in 0 to 1; give scores as"):
            vbench_scores([tmp_path / "x.json"])
    with pytest.raises(ValueError, match=r"holds no \*_eval_results.json"):
        vbench_scores([tmp_path])


def judged(root: Path, gain: float, names: list[str], skip: int = 0) -> Path:
    """Results with eight prompts of two clips a dimension; those of the first `skip` are absent."""
    root.mkdir()
    rows: dict[str, list[object]] = {}
    for name in names:
        unit = 100 if name == "imaging_quality" else 1
        per_clip = [
            {"video_path": f"{root}/a cat-dog {p}-{i}.mp4", "video_results": unit * value}
            for p in range(skip, 8)
            for i, value in ((0, 0.2 + p / 50), (1, 0.2 + p / 50 + gain * (1 + p % 2)))
        ]
        mean = sum(float(str(clip["video_results"])) for clip in per_clip) / len(per_clip)
        rows[name] = [mean / unit, per_clip]
    (root / "x_eval_results.json").write_text(json.dumps(rows))
    return root


def test_two_evaluations_are_compared_clip_by_clip(tmp_path: Path) -> None:
    """Every second clip gains 1.5 times .04 on average, so a dimension gains .03."""
    names = [*QUALITY, *SEMANTIC]
    a, b = judged(tmp_path / "a", 0, names), judged(tmp_path / "b", 0.04, names)
    result = compare_vbench(a, b)
    before, after = vbench_scores([a]), vbench_scores([b])
    for name in ("total", "quality", "semantic"):
        row = getattr(result, name)
        assert row.difference == pytest.approx(getattr(after, name) - getattr(before, name))
        assert row.interval[0] < row.difference < row.interval[1]
        assert row.clear
    imaging = result.dimensions["imaging_quality"]
    assert imaging.difference == pytest.approx(0.03)
    assert imaging.interval == pytest.approx((0.0225, 0.0375), abs=0.003)
    assert (result.pairs, result.dropped) == (16 * 16, 0)
    again = compare_vbench(a, a).total
    assert again is not None
    assert (again.difference, again.interval, again.clear) == (0, (0, 0), False)


def test_what_only_one_evaluation_has_is_left_out(tmp_path: Path) -> None:
    a = judged(tmp_path / "a", 0, ["scene", "color"], skip=3)
    b = judged(tmp_path / "b", 0.04, ["scene"])
    result = compare_vbench(a, b)
    assert result.dimensions.keys() == {"scene"}
    assert (result.pairs, result.dropped) == (10, 6 + 10)
    assert "total" not in result.to_dict()
    words = ["compare", str(a), str(b), "--vbench"]
    said = CliRunner().invoke(main, words)
    assert "16 scores were left out" in said.output, said.output
    assert "No total: not all sixteen" in said.output
    refused = CliRunner().invoke(main, [*words, "--metric", "pickscore"])
    assert refused.exit_code == 2
    assert "--metric 'pickscore' and --vbench were both given" in refused.output
    (tmp_path / "b" / "x_eval_results.json").write_text(json.dumps({"scene": [0.5, []]}))
    with pytest.raises(ValueError, match="no clip of a dimension in common"):
        compare_vbench(a, b)


def clips(root: Path, texts: list[str], count: int = 5, suffix: str = ".mp4") -> Path:
    write_prompt_folders(root, [plain_text(text) for text in texts])
    for number in range(len(texts)):
        for index in range(count):
            (root / image_name(number, index, suffix)).write_bytes(b"%d-%d" % (number, index))
    return root


def test_clips_get_vbenchs_names(tmp_path: Path) -> None:
    made = clips(tmp_path / "eval", ["a cat.", "a person, dancing", "not of the list"])
    info = tmp_path / "VBench_full_info.json"
    rows = [{"prompt_en": text, "dimension": ["color"]} for text in ("a person, dancing", "a cat.")]
    info.write_text(json.dumps([*rows, rows[0]]))
    out = tmp_path / "clips"
    assert export_clips(made, info, out) == export_clips(made, info, out) == 10
    assert len(list(out.iterdir())) == 10
    assert (out / "a person, dancing-4.mp4").read_bytes() == b"1-4"
    assert (out / "a cat.-0.mp4").read_bytes() == b"0-0"
    listed = tmp_path / "all_dimension.txt"
    listed.write_text("a cat.\n")
    more = clips(tmp_path / "more", ["a cat."], 7)
    assert export_clips(more, listed, tmp_path / "filtered") == 7
    words = ["vbench-export", str(made), "--prompts", str(listed), "--out", str(tmp_path / "few")]
    said = CliRunner().invoke(main, words)
    assert said.output.startswith("5 clips in "), said.output


def test_what_vbench_could_not_judge_is_refused(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("a cat\na dog\n")
    refusals = [
        (clips(tmp_path / "less", ["a cat"]), "no clips of 1 of 2 prompts, the first 'a dog'"),
        (clips(tmp_path / "few", ["a cat", "a dog"], 4), "has 4 mp4 a prompt where VBench wants 5"),
        (clips(tmp_path / "still", ["a cat", "a dog"], 5, ".png"), "has 5 png a prompt"),
    ]
    for made, sentence in refusals:
        with pytest.raises(ValueError, match=sentence):
            export_clips(made, listed, tmp_path / "out")
    listed.write_text("../../a cat\n")
    with pytest.raises(ValueError, match="cannot name a file"):
        export_clips(tmp_path / "few", listed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_clip_whose_name_no_disk_takes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for text, said in (("ä" * 200, "407 bytes, of 255 at most"), ("a\0b", "take the '.x00' out")):
        path.write_text(text)
        with pytest.raises(ValueError, match=said):
            read_list(path)
    path.write_text("\n")
    with pytest.raises(ValueError, match="has no prompts"):
        read_list(path)


def test_one_prompt_has_no_interval_and_one_that_stands_alone_joins_others(tmp_path: Path) -> None:
    def write(name: str, gain: float) -> Path:
        def clip(prompt: int, value: float) -> dict[str, object]:
            return {"video_path": f"x/p{prompt}-0.mp4", "video_results": value}

        many = [clip(n, 0.1 + n / 100 + gain) for n in range(7)]
        rows = {
            "scene": [0.3, many],
            "color": [0.3, [clip(0, 0.3 + gain)]],
            "human_action": [0.3, many[:6]],
        }
        path = tmp_path / f"{name}_eval_results.json"
        path.write_text(json.dumps(rows))
        return path

    result = compare_vbench(write("a", 0.0), write("b", 0.2)).dimensions
    assert result["color"].interval is None
    assert not result["color"].clear
    assert result["scene"].clear
    assert result["human_action"].interval == pytest.approx((0.2, 0.2))
    path = write("c", float("nan"))
    with pytest.raises(ValueError, match="which is no number; evaluate it again"):
        compare_vbench(path, path)
