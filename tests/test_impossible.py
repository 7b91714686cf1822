"""What can be known to be impossible is said before torch is imported, and leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sipo.common.files import disk_room
from sipo.feedback.judge_needs import check_judge_weights

ASKED = {
    "generate --prompts plain.txt": "'yolo-world' looks for the objects of a prompt",
    "generate --prompts plain.txt --judge vlm": "'vlm' asks about the objects of a prompt",
    "generate --suite geneval-train": "class 'backpack' is unknown to judge 'yolo-world-mini'",
    "generate --backbone owner/name": "'owner/name' is not in the hub's cache on this machine",
    "generate --judge pickscore": "'yuvalkirstain/PickScore_v1' is not in the hub's cache",
    "generate --judge-weights yolov8x-worldv2.pt": "are not in .*HF_HUB_OFFLINE is set",
    "generate --quantize 3": "--quantize 3 is unknown",
    "train --data nowhere": "shard folder 'nowhere' does not exist",
    "geneval --prompts plain.txt": "'mini-evaluator' looks for the objects of a prompt",
    "geneval --suite geneval": "class 'backpack' is unknown to judge 'evaluator'",
    "geneval --judge mask2former": "'facebook/mask2former-swin-small-coco-instance' is not in",
    "loop --judge-weights yolov8x-worldv2.pt": "are not in .*HF_HUB_OFFLINE is set",
    "loop --evaluator mask2former": "'facebook/mask2former-swin-small-coco-instance' is not in",
}
PROGRAM = """
import json, sys
from click.testing import CliRunner
from sipo.cli import main
said = []
for line in json.loads(sys.argv[1]):
    words = line.split()
    words = ["data", *words] if words[0] == "generate" else words
    ended = CliRunner().invoke(main, [*words, "--out", "made"])
    said.append([ended.exit_code, ended.stderr, "torch" in sys.modules])
print(json.dumps(said))
"""


def test_it_is_said_without_torch(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("a bright morning\n", encoding="utf-8")
    words = [sys.executable, "-c", PROGRAM, json.dumps([*ASKED])]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    for line, (code, said, torch) in zip(ASKED, json.loads(done.stdout), strict=True):
        assert (code, torch) == (2, False), f"{line}: {said}"
        with pytest.raises(ValueError, match=ASKED[line]):
            raise ValueError(said)
    assert [path.name for path in tmp_path.iterdir()] == ["plain.txt"]


@pytest.mark.parametrize(
    ("judge", "weights", "said"),
    [
        ("fake", None, None),
        ("yolo-world,mini-evaluator", None, None),
        ("aesthetic", "head.pt", "'openai/clip-vit-large-patch14' is not in the hub's cache"),
        ("hpsv2", None, "'xswu/HPSv2/HPS_v2_compressed.pt' is not in the hub's cache"),
        ("hpsv2", "nowhere.pt", "are no file; give one like HPS_v2_compressed.pt"),
        ("image-reward", None, "ImageReward.pt' is not in the hub's cache"),
        ("yolo-world", "nowhere", "are neither a folder with model.safetensors"),
        (
            "http=http://127.0.0.1:9/v1",
            None,
            "127.0.0.1 cannot be reached: Connection refused; start",
        ),
        ("mini-evaluator", "nowhere", "evaluator weights 'nowhere' lack config.json"),
    ],
)
def test_a_judge_that_lacks_what_it_needs(
    judge: str, weights: str | None, said: str | None
) -> None:
    if said is None:
        check_judge_weights(judge, weights, ("dog",))
        return
    with pytest.raises(ValueError, match=said):
        check_judge_weights(judge, weights, ("dog",))


def test_colours_by_clip_need_clip() -> None:
    settings = {"yolo-world": {"color": "clip"}}
    with pytest.raises(ValueError, match="'openai/clip-vit-large-patch14' is not in the hub's"):
        check_judge_weights("yolo-world", None, ("dog",), settings)


def test_a_disk_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs" / "new"
    monkeypatch.setattr(disk_room, "free_bytes", lambda _: 6e9)
    disk_room.require_room(out, 5e9)
    assert capsys.readouterr().err == ""
    disk_room.require_room(out, 8e9)
    assert "takes about 8.0 GB, and its disk has 6.0 GB left: it may become full" in (
        capsys.readouterr().err
    )
    with pytest.raises(ValueError, match=r"20\.0 GB, and its disk has 6\.0 GB left; free some"):
        disk_room.require_room(out, 20e9)
    monkeypatch.setattr(disk_room, "free_bytes", lambda _: 1e6)
    with pytest.raises(ValueError, match="free some space, or give another --out"):
        disk_room.require_room(out)
    out.mkdir(parents=True)
    (out / "summary.json").touch()  # all is written
    disk_room.require_room(out, 20e9)
