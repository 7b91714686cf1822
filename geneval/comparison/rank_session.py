"""People order the outputs of several runs without knowing which is whose."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval import evaluation_folder
from sipo.geneval.comparison.outputs import open_same
from sipo.geneval.comparison.ranking import ANSWERS
from sipo.geneval.layout import is_clip
from sipo.geneval.summary import images_sha256, prompts_sha256
from sipo.pages.ratings import TAKEN_BACK, append_answer, read_answers

T = TypeVar("T")
U = TypeVar("U")

_RATER = re.compile(r"\w[\w.-]{0,63}")
_MEDIA = {
    **{".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"},
    **{".bmp": "image/bmp", ".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/mp4"},
}
"""What browsers show."""


@dataclass(frozen=True)
class Item:
    """Image `index` of a prompt as every run made it; `shown` is the order on the screen."""

    name: str
    prompt: str
    shown: tuple[tuple[str, Path], ...]


class RankSession:
    """One rater's part of a study. Each rater meets items and runs in an order of their own.

    Raises ValueError for runs that differ in prompts, a folder of another study, a bad name.
    """

    def __init__(
        self,
        evaluations: Sequence[Path],
        out: Path,
        rater: str,
        per_prompt: int,
        num_prompts: int | None = None,
    ) -> None:
        """`num_prompts` of the runs' prompts, drawn by their texts: the same for all raters."""
        if not _RATER.fullmatch(rater):
            raise ValueError(f"--rater {rater!r} is no name; use letters, digits, '.', '-', '_'")
        if len(evaluations) < 2:
            raise ValueError(f"{len(evaluations)} evaluations cannot be ranked; give two or more")
        self.out, self.rater = out, rater
        runs = open_same(evaluations)
        taken = min(per_prompt, *(run.per_prompt for run in runs.values()))
        samples = {name: [row[:taken] for row in run.samples] for name, run in runs.items()}
        prompts = next(iter(runs.values())).prompts
        config: dict[str, object] = {
            "runs": {
                name: images_sha256([path for row in rows for path in row])
                for name, rows in samples.items()
            },
            "prompts": prompts_sha256(prompts),
            "per_prompt": taken,
        }
        if num_prompts is not None:
            config["num_prompts"] = num_prompts
        _require_shown([path for rows in samples.values() for row in rows for path in row])
        asked = _drawn(list(enumerate(prompts)), num_prompts)
        evaluation_folder.hold(out, config)
        self.items = [
            self._item(number, index, prompt.text, samples)
            for index in range(taken)
            for number, prompt in self._shuffled(asked, f"{index}")
        ]

    @property
    def path(self) -> Path:
        return self.out / ANSWERS / f"{self.rater}.jsonl"

    def describe(self) -> dict[str, object]:
        answers = read_answers(self.path, "item")
        return {
            "mode": "order",
            "title": "Which shows the prompt best? Choose from best to worst; some may be equal.",
            "done": f"sipo-geneval rank --results {self.out}",
            "tasks": [self._task(item, answers.get(item.name)) for item in self.items],
        }

    def content(self, task: int, item: int) -> tuple[bytes, str]:
        path = self.items[task].shown[item][1]
        return path.read_bytes(), _MEDIA[path.suffix.lower()]

    def answer(self, task: int, value: object, note: str = "") -> None:
        """`value` has the numbers of the images on the screen, best first; equal ones as a list."""
        item = self.items[task]
        asked = {"rater": self.rater, "item": item.name, "prompt": item.prompt}
        if value is None:
            append_answer(self.path, asked | {TAKEN_BACK: True})
            return
        places = _places(value, len(item.shown))
        if places is None:
            raise ValueError(
                f"answer {value!r} is no order of {list(range(len(item.shown)))}; choose every "
                "image once"
            )
        shown = [run for run, _ in item.shown]
        order = _named(places, shown.__getitem__)
        said = {"note": note} if note else {}
        append_answer(self.path, asked | {"shown": shown, "order": order} | said)

    def _item(
        self, number: int, index: int, text: str, samples: dict[str, list[list[Path]]]
    ) -> Item:
        name = f"{number:05d}/{index:04d}"
        pairs = [(run, rows[number][index]) for run, rows in samples.items()]
        return Item(name, text, tuple(self._shuffled(pairs, name)))

    def _task(self, item: Item, answer: Mapping[str, object] | None) -> dict[str, object]:
        shown, order = [run for run, _ in item.shown], answer and answer["order"]
        return {
            "prompt": item.prompt,
            "items": [
                {"label": str(place), "note": "", "video": is_clip(path)}
                for place, (_, path) in enumerate(item.shown, 1)
            ],
            "answer": _named(order, shown.index) if isinstance(order, list) else None,
            "note": str((answer or {}).get("note", "")),
        }

    def _shuffled(self, values: list[T], salt: str) -> list[T]:
        """A permutation that (rater, salt) decides: the same when the command is given again."""

        def draw(place: int) -> bytes:
            return hashlib.sha256(f"{self.rater}\0{salt}\0{place}".encode()).digest()

        return [values[place] for place in sorted(range(len(values)), key=draw)]


def _require_shown(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix.lower() not in _MEDIA:
            raise ValueError(
                f"{str(path)!r} is nothing that a browser shows; give {', '.join(_MEDIA)}"
            )


def _places(value: object, count: int) -> list[int | list[int]] | None:
    """`value`, where it has the numbers below `count`, each once; two or more that are equal are
    a list. None where it is anything else."""
    if not isinstance(value, list):
        return None
    places = [place if isinstance(place, list) else [place] for place in value]
    tied = [place for place in value if isinstance(place, list)]
    flat = [number for place in places for number in place]
    numbers = all(type(number) is int for number in flat) and sorted(flat) == list(range(count))
    return value if numbers and all(len(place) > 1 for place in tied) else None


def _named(order: Iterable[T | list[T]], name: Callable[[T], U]) -> list[U | list[U]]:
    return [[*map(name, p)] if isinstance(p, list) else name(p) for p in order]


def _drawn(prompts: list[tuple[int, Prompt]], count: int | None) -> list[tuple[int, Prompt]]:
    if count is not None and count > len(prompts):
        raise ValueError(
            f"--num-prompts {count} are more than the runs' {len(prompts)}; give fewer"
        )

    def draw(prompt: tuple[int, Prompt]) -> bytes:
        return hashlib.sha256(prompt[1].text.encode()).digest()

    return sorted(prompts, key=draw)[:count] if count else prompts
