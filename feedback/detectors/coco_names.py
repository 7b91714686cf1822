"""COCO's names as GenEval spells them: for every detector that was trained on COCO's objects.

Source: djghosh13/geneval, `evaluation/object_names.txt`: the 80 in COCO's order, three renamed.
"""

from __future__ import annotations

from collections.abc import Iterable

RENAMED = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
"""COCO's name -> GenEval's."""


def geneval_names(labels: Iterable[str]) -> tuple[str, ...]:
    """A detector's labels, in their order, as prompts name them."""
    return tuple(RENAMED.get(name, name) for name in labels)
