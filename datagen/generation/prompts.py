"""Which prompts a command of `generate` is about."""

from __future__ import annotations

from collections.abc import Sequence

from sipo.backbones.loading.names import in_embedded_world
from sipo.datagen.settings import SUITE_PROMPTS, GenerateSettings
from sipo.feedback.prompts.prompt import Prompt, read_prompts
from sipo.feedback.prompts.suites import TRAIN_SUITES, load_suite


def asked_prompts(settings: GenerateSettings) -> list[Prompt]:
    """The prompts of the file or suite, after --skip-prompts and --num-prompts.

    Raises ValueError for an unknown suite, both sources at once, or nothing left to do.
    """
    if settings.prompts is not None and settings.suite is not None:
        raise ValueError("--prompts and --suite were both given; give one of them")
    count, source = settings.num_prompts, source_of(settings)
    if settings.prompts is not None:
        rows = read_prompts(settings.prompts)
    else:
        rows = load_suite(source, TRAIN_SUITES)
        count = count or SUITE_PROMPTS
    end = None if count is None else settings.skip_prompts + count
    taken = rows[settings.skip_prompts : end]
    if not taken:
        raise ValueError(
            f"--skip-prompts {settings.skip_prompts} leaves none of the {len(rows)} prompts of "
            f"{source!r}; skip fewer"
        )
    return taken


def check_some(prompts: Sequence[Prompt]) -> None:
    if not prompts:
        raise ValueError("prompts is empty; give at least one")


def check_pictures(prompts: Sequence[Prompt]) -> None:
    """Raises ValueError where some prompts have a picture and others none, or one has its hash
    alone."""
    pictures = [prompt.before for prompt in prompts if prompt.before is not None]
    if pictures and len(pictures) < len(prompts):
        raise ValueError(
            f"{len(pictures)} of {len(prompts)} prompts have a picture (before); give those in a "
            "file of their own"
        )
    if lost := [one.name for one in pictures if one.data is None]:
        raise ValueError(
            f"before of a prompt is {lost[0]}, a picture's hash alone; give a path or the picture"
        )


def source_of(settings: GenerateSettings) -> str:
    """The file or suite that the prompts are of."""
    default = "mini-train" if in_embedded_world(settings.backbone) else "geneval-train"
    return str(settings.prompts) if settings.prompts else settings.suite or default


def without_repeats(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Each text once, of edits each text of a picture: the same text and seed would only give the
    same candidates again."""
    return list({prompt.key: prompt for prompt in reversed(prompts)}.values())[::-1]


def prompts_bytes(prompts: Sequence[Prompt]) -> bytes:
    return "".join(prompt.to_line() + "\n" for prompt in prompts).encode()
