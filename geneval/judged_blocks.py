"""Judging in blocks: shared out among processes, each kept until the evaluation is counted, so that
who is stopped loses one block.

    OUT/.verdicts-000003.json    the images of 8 batches
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sipo.common.bars import bar
from sipo.common.files.leases import Leases
from sipo.common.files.text import read_json
from sipo.common.files.writing import to_json, write_json
from sipo.common.shared_work import Shared
from sipo.feedback.correct_so_far import correct_so_far
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval.judge_images import Judged, judge_images

BATCHES = 8
"""Of a block; whole ones, so that batches are as they would be without blocks."""
_FILES = ".verdicts-*.json"


def count_blocks(folder: Path) -> int:
    """Those that are judged by now, of an evaluation that is not counted yet."""
    return sum(1 for _ in folder.glob(_FILES))


class JudgedBlocks:
    """`images_sha256` is that of all of them: verdicts of other images do not hold."""

    def __init__(
        self,
        folder: Path,
        judge: Judge,
        paths: Sequence[Path],
        prompts: Sequence[Prompt],
        batch_size: int,
        images_sha256: str,
    ) -> None:
        self._folder, self._judge = folder, judge
        self._paths, self._prompts, self._batch_size = paths, prompts, batch_size
        size = BATCHES * batch_size
        self._parts = [slice(at, at + size) for at in range(0, len(paths), size)]
        of = {"images": images_sha256, "judge": judge.describe(), "batch_size": batch_size}
        self._of = hashlib.sha256(to_json(of)).hexdigest()

    def judge_shared(self, leases: Leases, is_counted: Callable[[], bool]) -> None:
        """Returns when all are judged, whoever judged them; also where another process has counted
        them by now, and has removed the blocks.
        """

        def is_judged(number: int) -> bool:
            return self.has(number) or is_counted()

        work = Shared(range(len(self._parts)), is_judged, leases, "verdicts")
        left = sum(len(self._paths[self._parts[number]]) for number in work.left)
        total = len(self._paths)
        with bar(total, "Judging", "img", done=total - left) as shown:
            track = correct_so_far(shown)

            def make() -> None:
                for number in work.claimed():
                    self._write(number, self._judged(number, track))
                    work.made(number)

            work.until_done(make)

    def has(self, number: int) -> bool:
        return self._read(number) is not None

    def all(self) -> list[Judged] | None:
        """In the order of the images; None where some are gone, which who has counted them does."""
        blocks = [self._read(number) for number in range(len(self._parts))]
        if any(block is None for block in blocks):
            return None
        return [judged for block in blocks for judged in block or ()]

    def remove(self) -> None:
        for path in self._folder.glob(_FILES):
            path.unlink(missing_ok=True)

    def _judged(self, number: int, track: Callable[[Verdict], object]) -> Iterator[Judged]:
        part = self._parts[number]
        for judged in judge_images(
            self._judge, self._paths[part], self._prompts[part], self._batch_size
        ):
            yield judged
            track(judged.verdict)

    def _write(self, number: int, judged: Iterator[Judged]) -> None:
        rows = [
            {"verdict": one.verdict.model_dump(mode="json"), "sharpness": one.sharpness}
            for one in judged
        ]
        write_json(self._path(number), {"of": self._of, "rows": rows})

    def _read(self, number: int) -> list[Judged] | None:
        try:
            found = read_json(self._path(number))
        except (FileNotFoundError, ValueError):  # not there, or damaged: judged again
            return None
        if found.get("of") != self._of:
            return None
        rows = found["rows"]
        assert isinstance(rows, list)
        return [Judged(Verdict.model_validate(row["verdict"]), row["sharpness"]) for row in rows]

    def _path(self, number: int) -> Path:
        return self._folder / _FILES.replace("*", f"{number:06d}")
