from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipo.loop.cli import main
from sipo.loop.result import LoopSummary
from sipo.loop.tables import rounds_table


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(word) for word in words])
    return result.exit_code, result.output


def test_the_command_line_finds_the_finished_loop(tiny_folder: Path, finished: Path) -> None:
    """Every setting must arrive: another one would be refused in this folder."""
    learn, held_out = finished.parent / "learn.jsonl", finished.parent / "held-out.jsonl"
    code, said = run(
        *("--backbone", tiny_folder, "--prompts", learn, "--eval-prompts", held_out),
        *("--test-prompts", finished.parent / "test.jsonl", "--tolerance", 1),
        *("--judge", "fake", "--evaluator", "fake", "--num-prompts", 2, "--candidates", 4),
        *("--margin", 0, "--max_train_steps", 3, "--train_batch_size", 2, "--rank", 2),
        *("--train", "report_to=none", "--train", "workers=1"),
        *("--images-per-prompt", 2, "--rounds", 2),
        *("--output_dir", finished, "--live"),
    )
    assert code == 0, said
    served, _, table = said.partition("\n")
    assert served.startswith("Open http://127.0.0.1:")
    assert table.startswith("round")
    assert f"Report: {finished}/report.html\nNext: " in said


def test_the_result_for_programs(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = LoopSummary.model_validate_json((finished / "loop.json").read_text())
    monkeypatch.setattr("sipo.loop.rounds.loop", lambda settings: summary)
    words = ["--rounds", "2", "--json", "--out", str(finished)]
    result = json.loads(CliRunner().invoke(main, words).stdout)
    assert result["report"] == f"{finished}/report.html"
    assert summary.to_dict().items() <= result.items()


def test_only_a_loop_on_this_machine_is_served_while_it_runs() -> None:
    code, said = run("--live", "--out", "memory://loops/live")
    assert (code, "is a URL; leave one of the two out" in " ".join(said.split())) == (2, True), said


def test_the_report_is_written_anew(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "loop", symlinks=True)
    (folder / "report.html").unlink()
    assert run("report", folder) == (0, f"See {folder}/report.html\n")
    assert (folder / "report.html").read_text() == (finished / "report.html").read_text()
    for words, sentence in (
        (
            ("report", tmp_path),
            "has no loop.json; give a loop's folder that has evaluated its base",
        ),
        (("report", tmp_path / "no", "--live"), "is not a folder; give that of a sipo-loop"),
    ):
        code, said = run(*words)
        assert (code, sentence in said) == (2, True), said


def test_the_table_is_a_line_a_round(finished: Path) -> None:
    summary = LoopSummary.model_validate_json((finished / "loop.json").read_text())
    lines = rounds_table(summary).splitlines()
    assert [line.split()[0] for line in lines] == ["round", "0", "1", "2"]
    assert lines[0].split()[-6:] == ["empty", "sharp.", "judge", "pairs", "min", "kept"]
    assert len({len(line) for line in lines}) == 1


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    code, said = run("--dry-run", "--out", tmp_path / "loop", "--rounds", 2)
    assert code == 0
    assert "Each of 2 rounds" in said
    assert "round 2: to do" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rounds", "0"], "--rounds 0: Input should be greater than or equal to 1"),
        (["--rounds", "9", "--no-reuse-prompts"], "set --num-prompts"),
        (["--judge", "nobody"], "--judge 'nobody' is unknown"),
        (["--evaluator", "nobody"], "--evaluator 'nobody' is unknown"),
        (["--objective", "magic"], "--objective 'magic'"),
        (["--train", "ranks=3"], "unknown setting 'ranks'"),
        (["--train", "seed=3"], "--train seed=... is decided by the loop itself"),
        (["--train", "rank"], "--train 'rank' is not NAME=VALUE"),
        (["--generate", "rank"], "--generate 'rank' is not NAME=VALUE, such as batch_size=4"),
        (["--generate", "skip_prompts=3"], "--generate skip_prompts=... is decided by the loop"),
        (["--generate", "colour=red"], "--colour 'red': there is no such setting"),
        (["--evaluate", "weights=x"], "--evaluate weights=... is decided by the loop itself"),
        (["--evaluate", "batch_size=none"], "--batch-size 'none': Input should be a valid integer"),
        (["--eval-suite", "maxi"], "--suite 'maxi' is unknown"),
        (["--suite", "geneval"], "--suite 'geneval' is unknown; choose one of mini-train, gen"),
        (["--policy", "worst"], "--policy 'worst' is unknown"),
        (["--backbone", "FLUX.1-dev"], "--backbone 'FLUX.1-dev' is neither an embedded model"),
        (["--backbone", ""], "--backbone '' is empty"),
        (["--eval-prompts", ""], "--eval-prompts '' is empty"),
        (["--backbone", "owner/model"], "--judge 'yolo-world' has no weights of its own here"),
        (["--evaluate", "judge=yolo-world"], "--evaluator 'yolo-world' also chooses winners"),
        (
            ["--judge", "http=http://127.0.0.1:9", "--evaluator", "http=http://127.0.0.1:9"],
            "--evaluator 'http=http://127.0.0.1:9' also chooses winners",
        ),
        (
            ["--backbone", "o/m", "--judge", "pickscore", "--evaluator", "yolo-world"],
            "give --evaluator-weights yolov8x-worldv2.pt",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(words: list[str], sentence: str) -> None:
    code, said = run("--dry-run", *words)
    assert code == 2
    assert said.startswith("Error: ")
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_another_model_has_the_official_suites_and_judges(tiny_folder: Path) -> None:
    code, said = run(
        *("--dry-run", "--backbone", tiny_folder, "--height", 512),
        *("--judge-weights", "yolov8x-worldv2.pt", "--width", 768),
    )
    assert code == 0, said
    assert "tiny-sd, evaluated by mask2former" in said
    assert "384 prompts of geneval-train (coming again with new seeds)" in said
    assert "evaluate geneval-validation x 2 images" in said
    assert "Test       geneval, the base and the best round" in said
    assert "height   512" in said
