"""`sipo-train` as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner
from markupsafe import Markup
from memory_pairs import MemoryPairs
from PIL import Image
from torch import Tensor

from sipo.backbones.registry import load_backbone
from sipo.pages.charts import Drawn
from sipo.train import build, cli, refusals, trainer
from sipo.train.cli import main
from sipo.train.monitor import plot
from sipo.train.monitor.panels import NAMES, PANELS
from sipo.train.monitor.weight_calibration import measure_curve
from sipo.train.settings import TrainSettings, make_settings, read_yaml


@pytest.fixture
def shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "open_data", lambda settings: MemoryPairs(5))
    monkeypatch.setattr(refusals, "read_folder", lambda folder: None)  # of "d", which is none


def sipo_train(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def drawn(path: Path) -> np.ndarray[Any, Any]:
    """The picture, which is not blank."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10
    return pixels


def test_help_names_every_setting_without_loading_torch() -> None:
    code, text = sipo_train("--help")
    assert code == 0
    assert all(f"--{name}" in text for name in TrainSettings.model_fields)
    look = "import sys, sipo.train.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look]).returncode == 0


def test_yaml_then_command_line(tmp_path: Path, tiny_folder: Path, shards: None) -> None:
    """Both spellings, diffusers' names, and the file's value overridden."""
    file = tmp_path / "run.yaml"
    file.write_text(f"data: d\nbeta: 700\nrank: 8\noutput_dir: {tmp_path / 'run'}\n")
    model = ["--pretrained-model-name-or-path", str(tiny_folder)]
    code, text = sipo_train(str(file), *model, "--beta-dpo", "500", "--no-mask", "--dry-run")
    assert code == 0, text
    plan, _ = json.JSONDecoder().raw_decode(text[text.index("{\n") :])
    wanted = {"beta_dpo": 500, "rank": 8, "mask": False, "out": str(tmp_path / "run")}
    assert wanted.items() <= plan["settings"].items()
    assert (plan["pairs"], plan["steps"], plan["epochs"]) == (5, 2, 6.4)  # 25 pairs in 16s
    assert 0 < plan["parameters"]["trainable"] < plan["parameters"]["total"]
    assert not (tmp_path / "run").exists()


def test_a_process_knows_its_card_before_it_loads_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantisers load to the current card, which is the first until accelerate has set another."""
    order: list[str] = []

    def note(name: str) -> Callable[..., object]:
        return lambda *args: order.append(name)

    for name in ("open_data", "make_accelerator", "open_backbone"):
        monkeypatch.setattr(build, name, note(name))
        monkeypatch.setattr(trainer, name, note(name))
    cli._open(make_settings({"data": ["d"]}))
    with pytest.raises(TypeError):  # no data to plan for
        trainer.train(make_settings({"data": ["d"]}))
    assert order == ["open_data", "make_accelerator", "open_backbone"] * 2


def test_calibrate(tmp_path: Path, tiny_folder: Path, shards: None) -> None:
    """Below t = T/N the next step is clean, so w = 0 there whatever the model's error."""
    arguments = ["--data", "d", "--backbone", str(tiny_folder), "--out", str(tmp_path)]
    code, text = sipo_train("calibrate", *arguments)
    assert code == 0, text
    seen = [drawn(tmp_path / "weights.png")]
    curve = json.loads((tmp_path / "weights.json").read_text())
    assert curve["w"][:20] == [0] * 20
    assert curve["w"][500] > 0.9 > curve["w"][20]
    assert f"up to t = {curve['last_timestep_below']}" in text
    assert curve["beta"]["without_half"] == 500
    proposed = curve["proposed_num_chain_steps"]
    code, text = sipo_train("calibrate", *arguments, "--num_chain_steps", str(proposed))
    seen.append(drawn(tmp_path / "weights.png"))
    nearer = json.loads((tmp_path / "weights.json").read_text())
    assert abs(nearer["share_below"] - 0.064) <= abs(curve["share_below"] - 0.064)
    first, second = seen
    assert not np.array_equal(first, second)  # another N, another curve


def test_calibrate_needs_pairs() -> None:
    refused = CliRunner().invoke(main, ["calibrate", "--data", "d", "--objective", "d3po"])
    assert refused.exit_code == 2
    assert "--objective 'd3po' learns from no pairs" in refused.output


def test_a_curve_is_measured_in_batches_that_training_holds(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is the same for every batch size, to float tolerance."""
    pairs, backbone = MemoryPairs(5), load_backbone(str(tiny_folder))
    rows: list[int] = []
    predict = type(backbone).predict

    def counted(self: Any, denoiser: Any, noisy: Tensor, *rest: Any) -> Tensor:
        rows.append(len(noisy))
        return cast(Tensor, predict(self, denoiser, noisy, *rest))

    monkeypatch.setattr(type(backbone), "predict", counted)
    small, large = (
        measure_curve(make_settings({"data": ["d"], "train_batch_size": size}), backbone, pairs)
        for size in (3, 64)
    )
    assert max(rows[: len(rows) // 2]) == 3
    assert small["mse"] == pytest.approx(large["mse"], rel=1e-4)


def test_plot_draws_several_runs(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "drawn", lambda chart: Drawn(chart, Markup()))
    run("one")
    run("two", objective="diffusion-dpo")
    code, text = sipo_train("plot", str(tmp_path / "one"), str(tmp_path / "two"))
    assert (code, text.splitlines()[0]) == (0, f"See {tmp_path}/one/curves.html")
    page = unescape((tmp_path / "one" / "curves.html").read_text())
    assert all(f'<th scope="col">{name}</th>' in page for name in ("one", "two"))
    for panel in PANELS:
        dashed = f" ({NAMES[panel.of[1]]} dashed)" if len(panel.of) > 1 else ""
        assert f"<h3>{panel.title}{dashed}</h3>" in page
    assert all(f"<td>{objective}</td>" in page for objective in ("sipo", "diffusion-dpo"))
    both = drawn(tmp_path / "one" / "curves.png")
    assert sipo_train("plot", str(tmp_path / "one"), "--out", str(tmp_path / "x.html"))[0] == 0
    assert "<h3>Reward of losers by timestep</h3>" in (tmp_path / "x.html").read_text()
    assert not np.array_equal(both, drawn(tmp_path / "x.png"))  # one curve less
    code, text = sipo_train("plot", str(tmp_path))
    assert (code, "has no log.jsonl" in text) == (2, True)
    (tmp_path / "log.jsonl").write_text('{"step": 1, "pairs_seen": 2}\n')
    code, text = sipo_train("plot", str(tmp_path))
    assert (code, "at step 1; give a run of sipo-train" in " ".join(text.split())) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--data is missing"),
        (["--data", "d", "--rank", "0"], "--rank 0: Input should be greater"),
        (["--data", "d", "--objective", "dpo"], "choose one of d3po, ipo, dpo-cm, sipo,"),
        (["--data", "d", "--train_timesteps", "9:3"], "LOW < HIGH"),
        (["--data", "d", "--max_train_steps", "3", "--pairs_seen", "9"], "give one"),
        (["--data", "d", "--reference", "init"], "needs --init_weights"),
        (["--data", "d", "--quantize", "nf4", "--full"], "--full trains it; leave one"),
        (["--data", "d", "--use_8bit_adam", "--shard_weights"], "leave one of the two out"),
        (["nowhere.yaml"], "cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], sentence: str) -> None:
    code, text = sipo_train(*arguments)
    assert code == 2
    assert sentence in text
    assert "Traceback" not in text


def test_unknown_settings_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("data: d\nlearning_rat: 1e-5\n")
    code, text = sipo_train(str(file))
    assert (code, "did you mean 'learning_rate'?" in text) == (2, True)


@pytest.mark.parametrize(
    ("line", "name", "meant"),
    [
        ("mixed_precision: no", "mixed_precision", "no"),
        ("quantize: no", "quantize", "no"),
        ("train_timesteps: 1:50", "train_timesteps", "1:50"),
        ("learning-rate: 1e-4", "learning_rate", 1e-4),
        ("lr: 1e-4", "learning_rate", 1e-4),
        ("seed: 010", "seed", 10),
        ("mask: off", "mask", False),
        ("out: 2024-01-01", "out", "2024-01-01"),
    ],
)
def test_a_settings_file_is_read_as_it_is_meant(
    tmp_path: Path, line: str, name: str, meant: object
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"data: d\n{line}\n")
    assert getattr(make_settings(read_yaml(file)), name) == meant


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rank: many", "run.yaml', line 2: --rank 'many': Input should be a valid integer"),
        ("max_train_steps: .nan", "line 2: --max_train_steps nan: "),
        ("colour: red", "line 2: unknown setting 'colour'"),
        ("data: e", "line 2, column 1: 'data' is set a second time"),
        ("out: 7", "line 2: --out 7: Input should be a valid string; put it in quotes"),
        ("beta: 1\nbeta-dpo: 2", "line 3: 'beta-dpo' and 'beta' are one setting"),
    ],
)
def test_a_mistake_in_a_settings_file_says_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"data: d\n{line}\n")
    code, text = sipo_train(str(file))
    assert (code, said in " ".join(text.split())) == (2, True), text


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", str(2**64)), ("seed", "-1"), ("learning_rate", "nan"), ("beta_dpo", "inf")],
)
def test_numbers_that_nothing_can_be_done_with_are_refused(name: str, value: str) -> None:
    code, text = sipo_train("--data", "d", f"--{name}", value)
    assert (code, f"--{name} " in text) == (2, True)


def test_defaults_that_depend_on_others() -> None:
    assert make_settings({}).beta_dpo == 1000
    assert make_settings({"objective": "diffusion-dpo"}).beta_dpo == 5000
    assert make_settings({"objective": "diffusion-dpo", "beta": 7}).beta_dpo == 7
    assert make_settings({}).learning_rate == 1e-4
    assert make_settings({"full": True}).learning_rate == 1e-5
    assert make_settings({"full": "yes"}).learning_rate == 1e-5


def test_saved_settings_can_be_read_again(tmp_path: Path) -> None:
    from sipo.train.checkpoint_files import open_run

    settings = make_settings({"data": ["a", "b"], "out": str(tmp_path / "run"), "rank": 3})
    open_run(tmp_path / "run", settings, {"steps": 1})
    assert make_settings(read_yaml(tmp_path / "run" / "settings.yaml")) == settings


def test_shards_of_a_local_folder_do_not_find_a_namesake(tmp_path: Path) -> None:
    """They keep only the folder's name; another folder of that name must not be taken for it."""
    pairs = MemoryPairs(1)
    pairs.meta = {"backbone": {"name": "my-model"}}
    settings = make_settings({"data": "d", "out": str(tmp_path)})
    with pytest.raises(ValueError, match="sampled from a local folder named 'my-model'"):
        build.open_backbone(settings, pairs)


def test_the_module_is_the_command_too() -> None:
    """As launchers start it: `torchrun -m sipo.train.cli`."""
    words = [sys.executable, "-m", "sipo.train.cli", "--data", "d", "--rank", "0"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, "--rank 0" in done.stderr) == (2, True)
