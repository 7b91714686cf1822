"""A judge for processes that are started elsewhere: what it does next is said by files."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict


class WatchedJudge(FakeJudge):
    """Writes down in `folder` whose images it has judged. Where there is a file `die` or `raise`
    that names a prompt, its process dies once with that prompt, or the judging of it fails."""

    def __init__(self, folder: str = ".") -> None:
        super().__init__()
        self.folder = Path(folder)

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        texts = [prompt.text for prompt in prompts]
        die, fail = self.folder / "die", self.folder / "raise"
        if die.exists() and die.read_text() in texts:
            die.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if fail.exists() and fail.read_text() in texts:
            with (self.folder / "raised").open("a") as file:
                file.write("x")
            raise TypeError("a mistake of the judge")
        with (self.folder / f"judged-{os.getpid()}").open("a") as file:
            file.writelines(f"{text}\n" for text in texts)
        return super().judge(images, prompts)

    @staticmethod
    def seen(folder: Path) -> dict[str, int]:
        """How many images of each prompt were judged, by all processes."""
        lines = [line for path in folder.glob("judged-*") for line in path.read_text().splitlines()]
        return {text: lines.count(text) for text in lines}
