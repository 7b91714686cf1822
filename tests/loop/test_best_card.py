"""The card of a loop's best policy has what the loop measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from PIL import Image

from sipo.loop.best_card import write_best_card
from sipo.loop.result import LoopSummary


def test_gains_pictures_and_rounds(finished: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(finished, tmp_path / "loop", symlinks=True))
    result = LoopSummary.model_validate(json.loads((out / "loop.json").read_text()))
    card = write_best_card(out, result.model_copy(update={"best": 1}))
    assert card is not None
    text = card.read_text()
    first = result.rounds[1]
    assert first.gain is not None
    assert "| Overall, validation prompts that chose the round |" in text
    assert f"| {first.gain.difference:+.3f} |" in text
    assert "| round 2 |" in text
    assert "judge `fake`" in text
    pictures = sorted(path.name for path in (card.parent / "pictures").iterdir())
    assert pictures[:2] == ["00-after.png", "00-before.png"]
    assert len(pictures) == 2 * 3  # a prompt a tag
    with Image.open(card.parent / "pictures" / pictures[0]) as image:
        assert image.size == (16, 16)
    assert all(f"](pictures/{name})" in text for name in pictures)
    assert write_best_card(out, result.model_copy(update={"best": 0})) is None


def test_every_round_has_a_card_that_names_the_one_before(finished: Path) -> None:
    text = (finished / "round-2" / "train" / "README.md").read_text()
    assert "`round-2/shards`" in text
    assert "| `round-1/train` | sipo |" in text
