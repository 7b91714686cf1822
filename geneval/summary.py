"""`summary.json`: the numbers of an evaluation and everything they depend on."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sipo.feedback.complaint_table import count_complaints
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval.results import ImageResult, to_row
from sipo.geneval.statistics import OVERALL, accuracies, intervals, lonely_tags, said, tally

_PACKAGES = ("sipo", "torch", "diffusers", "transformers", "ultralytics", "numpy", "pillow")


def prompts_sha256(prompts: Sequence[Prompt]) -> str:
    return hashlib.sha256("\n".join(prompt.to_json() for prompt in prompts).encode()).hexdigest()


def images_sha256(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def summarise(
    names: Sequence[str], prompts: Sequence[Prompt], verdicts: Sequence[Verdict]
) -> tuple[list[ImageResult], dict[str, Any]]:
    """The rows of the judged images, and `overall`, `tags`, `interval`, `failures`, ...

    `names`, `prompts` and `verdicts` are parallel, one an image. Images for which the judge failed
    are in no accuracy. Raises ValueError when it failed for a whole tag.
    """
    triples = list(zip(names, prompts, verdicts, strict=True))
    rows = [to_row(*triple) for triple in triples if not triple[2].failed]
    failed = [(name, prompt, v.failure) for name, prompt, v in triples if v.failed]
    counts = tally(rows)
    for _, prompt, cause in failed:
        if prompt.tag not in counts:
            raise ValueError(
                f"the judge failed on every image of tag {prompt.tag!r} ({cause}); "
                "an overall of the remaining tags would mean nothing, so mend the judge first"
            )
    shares, bounds = accuracies(counts), intervals(counts)
    empty = sum(not verdict.boxes for verdict in verdicts if not verdict.failed)
    return rows, {
        "overall": shares[OVERALL],
        **said(bounds[OVERALL], lonely_tags(counts)),
        "tags": {
            tag: {
                "accuracy": shares[tag],
                **said(bounds[tag]),
                "images": sum(images for _, images in by_prompt.values()),
                "prompts": len(by_prompt),
            }
            for tag, by_prompt in counts.items()
        },
        "complaints": count_complaints(zip(prompts, verdicts, strict=True)),
        "empty_share": empty / len(rows),
        "failures": {
            "images": len(failed),
            "causes": dict(Counter(str(cause) for _, _, cause in failed)),
            "names": [name for name, _, _ in failed],
        },
    }
