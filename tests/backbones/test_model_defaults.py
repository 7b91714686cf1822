"""What suits a model is read by every command, from one file beside its weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sipo.backbones.model_defaults import FILE, SAMPLER_FILE, defaults_of
from sipo.backbones.registry import load_backbone
from sipo.datagen.cli import main as data
from sipo.datagen.generate_defaults import complete as generation
from sipo.datagen.generation.run import generate as run_generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.geneval.cli import main as geneval
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import shards, training
from sipo.train.cli import main as train
from sipo.train.settings import TrainSettings, keeps_reference, make_settings
from sipo.train.train_defaults import complete as trained

FIRST = Attempt(1)
PLACES = {"data", "out", "backbone", "seed", "workers", "weights", "skip_prompts", "suite"}
PLACES |= {"stop_on_nan"}  # which changes no weight
SAID: dict[str, Any] = {
    "sampler": {"steps": 3, "guidance": 1.5},
    "generate": {"num_prompts": 6, "candidates": 3, "margin": 0.1},
    "train": {
        "settings": {"learning_rate": 0.01, "rank": 2, "max_train_steps": 4},
        "objectives": {"sipo": {"beta_dpo": 50}, "hinge": {"beta_dpo": 70}},
    },
}


def sampling(settings: LoopSettings) -> dict[str, object]:
    """What a loop's first round asks of the command."""
    return shards(settings, FIRST, None).model_dump(exclude=PLACES)


def learning(settings: LoopSettings) -> dict[str, object]:
    return training(settings, FIRST, BASE).model_dump(exclude=PLACES)


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path) -> Path:
    """A local model with a file of its own."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    (folder / FILE).write_text(json.dumps(SAID))
    return folder


def sampled(model: Path, out: Path, **more: object) -> Path:
    """The smallest folder of shards of it."""
    asked = GenerateSettings(
        backbone=str(model), judge="fake", candidates=3, workers=1, out=out, margin=0
    ).model_copy(update=more)
    run_generate(asked, [grammar.single_object("cat")], judge=FakeJudge(), progress=False)
    return out


def test_winners_alone_are_learnt_without_the_anchor_of_pairs(tmp_path: Path) -> None:
    """beta 1000 of its rewards would outweigh a denoising error of .4 by far."""
    asked = {"data": str(tmp_path), "backbone": "mini-sd"}
    assert trained({**asked, "objective": "sft"}).settings.winner_anchor == 0
    assert not keeps_reference(trained({**asked, "objective": "sft"}).settings)
    assert trained(asked).settings.winner_anchor == 1


def test_the_two_plain_commands_are_asked_what_a_round_is(tmp_path: Path) -> None:
    settings = LoopSettings(out=tmp_path / "loop")
    said = generation({"judge": "yolo-world", "out": tmp_path / "shards"}).settings
    assert said.model_dump(exclude=PLACES) == shards(settings, FIRST, None).model_dump(
        exclude=PLACES
    )
    asked = trained({"data": str(tmp_path / "shards"), "backbone": "mini-sd"}).settings
    assert asked.model_dump(exclude=PLACES) == training(settings, FIRST, BASE).model_dump(
        exclude=PLACES
    )
    assert (said.candidates, said.num_prompts, asked.learning_rate) == (7, 292, 3e-3)


def test_the_same_of_a_local_model(model: Path, tmp_path: Path) -> None:
    settings = LoopSettings(backbone=str(model), out=tmp_path / "loop")
    said = generation({"backbone": str(model), "judge": "yolo-world"}).settings
    assert said.model_dump(exclude=PLACES) == shards(settings, FIRST, None).model_dump(
        exclude=PLACES
    )
    folder = sampled(model, tmp_path / "shards")
    asked = trained({"data": [str(folder)]}).settings
    assert asked.model_dump(exclude=PLACES) == training(settings, FIRST, BASE).model_dump(
        exclude=PLACES
    )
    assert (asked.max_train_steps, asked.rank, asked.beta_dpo) == (4, 2, 50)


def test_what_is_said_goes_over_it(model: Path) -> None:
    said = generation({"backbone": str(model), "candidates": "9"}).settings
    assert (said.candidates, said.margin) == (9, 0.1)
    base = {"data": "d", "backbone": str(model)}
    assert trained(base | {"lr": 1.0, "beta": 3}).settings.beta_dpo == 3
    assert trained(base | {"objective": "hinge"}).settings.beta_dpo == 70
    assert trained(base | {"epochs": 2}).settings.max_train_steps is None
    assert trained(base | {"pairs_seen": 64}).settings.pairs_seen == 64
    assert trained(base | {"full": True}).settings.learning_rate == 1e-5
    assert LoopSettings(backbone=str(model), candidates=9).candidates == 9
    short = LoopSettings(backbone=str(model), max_train_steps=8)
    assert training(short, FIRST, BASE).max_train_steps == 8


def test_a_file_of_prompts_is_taken_whole(model: Path) -> None:
    said = generation({"backbone": str(model), "prompts": "mine.jsonl"}).settings
    assert (said.num_prompts, said.candidates) == (None, 3)


def test_other_models_have_the_commands_own(tiny_folder: Path) -> None:
    for name in (str(tiny_folder), "owner/model", "my.module:model"):
        assert generation({"backbone": name}).settings == GenerateSettings(backbone=name)
        assert trained({"backbone": name}).settings == make_settings({"backbone": name})
    assert defaults_of("")[0].generate == {}


def test_the_sampler_is_read(model: Path) -> None:
    assert load_backbone(str(model)).default_sampler.steps == 3
    (model / FILE).unlink()
    (model / SAMPLER_FILE).write_text('{"steps": 7, "guidance": 2}')
    assert load_backbone(str(model)).default_sampler.steps == 7
    assert load_backbone("mini-sd").default_sampler.model_dump(exclude_unset=True) == {
        "steps": 12,
        "guidance": 1.5,
    }


def test_a_folder_and_a_run_go_on_as_they_were_begun(model: Path, tmp_path: Path) -> None:
    out = sampled(model, tmp_path / "shards", margin=0.0)
    (out / "run").mkdir()
    begun = make_settings({"data": str(out), "learning_rate": 0.5, "epochs": 2})
    lines = "\n".join(f"{name}: {getattr(begun, name)}" for name in ("learning_rate", "rank"))
    (out / "run" / "settings.yaml").write_text(lines)
    asked = trained({"data": str(out), "out": str(out / "run")})
    assert (asked.settings.learning_rate, asked.settings.rank) == (0.5, 16)
    assert asked.settings.max_train_steps is None
    assert asked.told == f"From {out}/run/settings.yaml: learning_rate 0.5, rank 16"
    again = generation({"backbone": str(model), "out": out, "candidates": 4})
    assert (again.settings.margin, again.settings.num_prompts) == (0.0, 1)
    assert again.told == f"From {out}/config.json: num_prompts 1, margin 0.0"


def test_a_settings_file_of_a_run_is_whole(model: Path, tmp_path: Path) -> None:
    out = sampled(model, tmp_path / "shards")
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    (run / "settings.yaml").write_text(f"data: [{out}]\nrank: 3\nout: {tmp_path / 'new'}\n")
    done = CliRunner().invoke(train, [str(run / "settings.yaml"), "--dry-run"])
    settings = json.loads(done.stdout)["settings"]
    assert (settings["rank"], settings["learning_rate"]) == (3, 1e-4)
    assert "model_defaults" not in json.loads(done.stdout)


def test_every_command_says_what_is_from_the_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\n")
    out = sampled(model, tmp_path / "shards")
    base = ["--backbone", str(model), "--prompts", str(tmp_path / "prompts.txt"), "--workers", "1"]
    words = ["generate", *base, "--judge", "fake", "--out", str(tmp_path / "o"), "--dry-run"]
    first = CliRunner().invoke(data, words).output.splitlines()[0]
    assert first == f"From {model}/{FILE}: steps 3, guidance 1.5, candidates 3, margin 0.1"
    words = [*base, "--judge", "fake", "--steps", "1", "--out", str(tmp_path / "e"), "--dry-run"]
    first = CliRunner().invoke(geneval, words).output.splitlines()[0]
    assert first == f"From {model}/{FILE}: guidance 1.5"
    words = ["--data", str(out), "--out", str(tmp_path / "t"), "--rank", "1", "--dry-run"]
    told = json.loads(CliRunner().invoke(train, words).stdout)["model_defaults"]
    assert told == f"From {model}/{FILE}: learning_rate 0.01, max_train_steps 4, beta_dpo 50"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON .* correct it, or take it away"),
        ("[1]", "holds no JSON object; correct it, or take it away"),
        ('{"sampling": {}}', "sampling: there is no such setting; correct it, or take it out"),
        ('{"generate": {"candidates": 1}}', r"candidates: Input should .* \(got '1'\); correct"),
        ('{"generate": {"judge": "a:b"}}', "'judge' is no setting that a model decides; take"),
        ('{"generate": 3}', r"generate: .* \(got '3'\)"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_place(
    text: str, sentence: str, model: Path
) -> None:
    (model / FILE).write_text(text)
    with pytest.raises(ValueError, match=f"{FILE}'?: .*{sentence}|{FILE}' {sentence}"):
        generation({"backbone": str(model)})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rank": "many"}, r"rank: Input should .* \(got 'many'\); correct it, or take it out"),
        ({"out": "/etc"}, "'out' is no setting that a model decides"),
        ({"init_weights": "x"}, "'init_weights' is no setting"),
        ({"judge": "a:b"}, "'judge' is no setting"),
        ({"workers": 3}, "'workers' is no setting"),
        ({"seed": 3}, "'seed' is no setting"),
        ({"objective": "mine:loss"}, "objective: a model's file names none from outside"),
        ({"max_train_steps": 3, "pairs_seen": 3}, ".*both set the length"),
    ],
)
def test_training_takes_from_it_how_and_not_what_or_where(
    settings: dict[str, object], sentence: str, model: Path
) -> None:
    (model / FILE).write_text(json.dumps({"train": {"settings": settings}}))
    with pytest.raises(ValueError, match=f"{FILE}: {sentence}"):
        trained({"data": "d", "backbone": str(model)})
    with pytest.raises(ValueError, match=FILE):
        LoopSettings(backbone=str(model))


def test_a_bad_sampler_is_named_when_the_model_is_loaded(model: Path) -> None:
    (model / FILE).write_text('{"sampler": {"steps": 0}}')
    with pytest.raises(ValueError, match=rf"{FILE}: steps: .* \(got '0'\); correct it"):
        load_backbone(str(model))


def test_the_trainers_own_defaults_are_no_models(tmp_path: Path) -> None:
    assert TrainSettings.model_fields["rank"].default == 16
    assert trained({"data": str(tmp_path)}).told == ""
