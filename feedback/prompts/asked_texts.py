"""Which texts a prompt wants to be read in its image."""

from __future__ import annotations

import re

from sipo.feedback.prompts.prompt import Prompt

_QUOTED = re.compile(
    r'(?<!\w)"([^"]*)"(?!\w)'  # not the inches of a 12" pizza beside a 14" one
    r"|“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|「([^「」]+)」"
)


def texts_of(prompt: Prompt) -> tuple[str, ...]:
    """Its `texts`; where it has none, what stands in double quotes. () where it asks for none.

    Single quotes are apostrophes as often, so what stands in them is not taken.
    """
    return prompt.texts or _quoted(prompt.text)


def _quoted(text: str) -> tuple[str, ...]:
    found = ("".join(groups).strip() for groups in _QUOTED.findall(text))
    return tuple(one for one in found if any(character.isalnum() for character in one))
