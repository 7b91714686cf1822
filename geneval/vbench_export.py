"""Clips under the names that VBench looks for, so that it can judge them in its own environment.

Source of the names: Vchitect/VBench, `prompts/README.md`.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from sipo.geneval.outputs import open_outputs

CLIPS_PER_PROMPT = 5  # VBench takes; its static filter chooses them among more


def export_clips(evaluation: Path, prompts: Path, out: Path) -> int:
    """Link the clips of an evaluation into `out` as `{prompt}-{i}.mp4`; returns how many.

    `prompts` is VBench's list: its `VBench_full_info.json` or a text of one prompt a line. Raises
    ValueError where a prompt of it has fewer than five clips, or the evaluation has no clips.
    """
    wanted = read_list(prompts)
    made = open_outputs(evaluation)
    by_text = {p.text: rows for p, rows in zip(made.prompts, made.samples, strict=True)}
    if missing := [text for text in wanted if text not in by_text]:
        raise ValueError(
            f"{str(evaluation)!r} has no clips of {len(missing)} of {len(wanted)} prompts, the "
            f"first {missing[0]!r}; sample them with sipo-geneval --prompts {prompts}"
        )
    clips = {
        f"{text}-{index}.mp4": clip for text in wanted for index, clip in enumerate(by_text[text])
    }
    if made.per_prompt < CLIPS_PER_PROMPT or made.samples[0][0].suffix != ".mp4":
        raise ValueError(
            f"{str(evaluation)!r} has {made.per_prompt} {made.samples[0][0].suffix[1:]} a prompt "
            f"where VBench wants {CLIPS_PER_PROMPT} mp4; sample a video model with "
            f"--images-per-prompt {CLIPS_PER_PROMPT}"
        )
    out.mkdir(parents=True, exist_ok=True)
    for name, clip in clips.items():
        (out / name).unlink(missing_ok=True)
        _link(clip, out / name)
    return len(clips)


def read_list(path: Path) -> list[str]:
    """The prompts of VBench's list, each once. Raises ValueError for a file that is none."""
    if not path.is_file():
        raise ValueError(f"--prompts {str(path)!r} does not exist; give VBench's list of prompts")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"--prompts {str(path)!r} is not UTF-8 ({error}); save it so") from None
    if path.suffix == ".json":
        try:
            texts = [str(row["prompt_en"]) for row in json.loads(text)]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"--prompts {str(path)!r} has no rows with 'prompt_en'; give VBench_full_info.json"
            ) from None
    else:
        texts = [line.strip() for line in text.splitlines() if line.strip()]
    if unusable := [text for text in texts if "/" in text]:
        raise ValueError(f"prompt {unusable[0]!r} cannot name a file; take the '/' out of it")
    return list(dict.fromkeys(texts))


def _link(clip: Path, name: Path) -> None:
    try:
        os.link(clip, name)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(clip, name)
