"""Clips under the names that VBench looks for, so that it can judge them in its own environment.

Source of the names: Vchitect/VBench, `prompts/README.md`.
"""

from __future__ import annotations

from pathlib import Path

from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text, split_lines
from sipo.geneval.comparison.outputs import open_outputs
from sipo.geneval.listed_folder import link

_LONGEST = 255  # bytes of a file name
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
    if made.per_prompt < CLIPS_PER_PROMPT or made.samples[0][0].suffix.lower() != ".mp4":
        raise ValueError(
            f"{str(evaluation)!r} has {made.per_prompt} {made.samples[0][0].suffix[1:]} a prompt "
            f"where VBench wants {CLIPS_PER_PROMPT} mp4; sample a video model with "
            f"--images-per-prompt {CLIPS_PER_PROMPT}"
        )
    out.mkdir(parents=True, exist_ok=True)
    for name, clip in clips.items():
        link(clip, out / name)
    return len(clips)


def read_list(path: Path) -> list[str]:
    """The prompts of VBench's list, each once. Raises ValueError for a file that is none."""
    if not path.exists():
        raise ValueError(f"--prompts {str(path)!r} does not exist; give VBench's list of prompts")
    text = read_text(path, "--prompts")
    if path.suffix == ".json":
        try:
            texts = [str(row["prompt_en"]) for row in load_json(text)]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"--prompts {str(path)!r} has no rows with 'prompt_en'; give VBench_full_info.json"
            ) from None
    else:
        texts = [line.strip() for line in split_lines(text) if line.strip()]
    if not texts:
        raise ValueError(f"--prompts {str(path)!r} has no prompts; give VBench's list of prompts")
    for text in texts:
        _require_file_name(text)
    return list(dict.fromkeys(texts))


def _require_file_name(text: str) -> None:
    """VBench finds clips by their prompts."""
    if unusable := [character for character in ("/", "\0") if character in text]:
        raise ValueError(f"prompt {text!r} cannot name a file; take the {unusable[0]!r} out of it")
    if (size := len(f"{text}-00.mp4".encode())) > _LONGEST:
        raise ValueError(
            f"prompt {text[:60]!r}... cannot name a file: {size} bytes, of {_LONGEST} at most; "
            "leave it out of the list"
        )
