"""What a judge that sees both pictures of an edit is shown before its question, each named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipo.feedback.prompts.prompt import Prompt

if TYPE_CHECKING:
    from PIL import Image

BEFORE = "Before the edit:"
AFTER = "After the edit, the image that is asked about:"


def shown(image: Image.Image, prompt: Prompt) -> list[Image.Image | str]:
    """The image; of an edit the picture that it began with, then the image, each after its name.

    Raises ValueError where the picture is not with its prompt.
    """
    if prompt.before is None:
        return [image]
    return [BEFORE, prompt.before.picture(), AFTER, image]
