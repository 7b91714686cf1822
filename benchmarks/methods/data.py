"""What the arms learn from and start from, by name: the commands that make it, once.

"base": the base's candidates, judged. "flipped-N": the same, N % of the verdicts turned round.
"teacher": the policy that one plain `sipo-train` makes of "base". "stronger": its candidates.
"""

from __future__ import annotations

import json
from pathlib import Path

from arms import FLIPPED

JUDGE = "flipped_judge:make_flipped"
TEACHERS_BETA = (
    100  # mini-sd's own when it was made; kept, so that results go on being of one teacher
)
NEEDS = {"teacher": "base", "stronger": "teacher", **{f"flipped-{n}": "base" for n in FLIPPED}}
NAMES = ("base", "teacher", "stronger", *(f"flipped-{share}" for share in FLIPPED))


def folder_of(out: Path, name: str) -> Path:
    return out / "data" / name


def is_made(out: Path, name: str) -> bool:
    return (folder_of(out, name) / "made").exists()


def command_for(out: Path, name: str, batch: int) -> str:
    here = folder_of(out, name)
    if name == "teacher":
        given = f"--out {here} --seed 1 --beta_dpo {TEACHERS_BETA} --report_to none"
        return f"sipo-train --data {folder_of(out, 'base')} {given}"
    if name.startswith("flipped-"):
        settings = out / "data" / f"{name}.json"
        share = int(name.removeprefix("flipped-")) / 100
        settings.write_text(json.dumps({JUDGE: {"share": share}}), encoding="utf-8")
        given = f"--judge {JUDGE} --judge-settings {settings}"
        return f"sipo-data judge {folder_of(out, 'base')} {given} --out {here}"
    given = "--seed 1" if name == "base" else f"--seed 2 --weights {folder_of(out, 'teacher')}"
    return f"sipo-data generate {given} --batch-size {batch} --out {here}"
