"""What a judge is, the names they are called by, and how one is loaded with its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from pydantic import ConfigDict, ValidationError, validate_call

from sipo.common.files.pipes import read_again
from sipo.common.files.strict_json import parse_json
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.rule.verdict import Verdict


class Judge(Protocol):
    """Looks at images and says how well each shows what its prompt asks."""

    def describe(self) -> dict[str, Any]:
        """Id, weights hash, thresholds: what a verdict must carry to be comparable."""
        ...

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        """One verdict an image, in order. A failure is a verdict that says so, no exception."""
        ...


JudgeLoader = Callable[..., Judge]
"""(weights or None for its default, vocabulary, *, its own settings) -> Judge."""

JUDGES = {
    "yolo-world": "sipo.feedback.detectors.yolo_world:load_yolo_world",
    "owlv2": "sipo.feedback.detectors.owlv2:load_owlv2",
    "mask2former": "sipo.feedback.detectors.mask2former:load_mask2former",
    "vlm": "sipo.feedback.vlm:load_vlm",
    "pickscore": "sipo.feedback.scorers.pickscore:load_pickscore",
    "hpsv2": "sipo.feedback.scorers.hps:load_hpsv2",
    "hpsv2.1": "sipo.feedback.scorers.hps:load_hpsv21",
    "image-reward": "sipo.feedback.scorers.image_reward:load_image_reward",
    "aesthetic": "sipo.feedback.scorers.aesthetic:load_aesthetic",
    "mini-evaluator": "sipo.feedback.detectors.centernet:load_centernet",
    "fake": "sipo.feedback.fake:load_fake",
}
"""Name -> its JudgeLoader."""

MOST_BOXES = {"yolo-world": 300, "owlv2": 1000, "mask2former": 100, "mini-evaluator": 64}
"""The detectors: they need a prompt's clauses, and tell apart no more objects of an image."""

NOT_A_JUDGE = ("ensemble", "calibration")
"""What a settings file may hold beside judges: several's rule, and thresholds' worth."""

JudgeSettings = Mapping[str, Mapping[str, Any]]


def load_judge(
    name: str,
    weights: str | Path | None,
    vocabulary: Sequence[str],
    settings: str | Path | JudgeSettings | None = None,
) -> Judge:
    """The named judge for one fixed vocabulary (scores depend on the whole of it).

    Several, "yolo-world=yolov8x-worldv2.pt,pickscore", are one judge by the rule that `settings`
    has under "ensemble" (see ensemble.py). `settings`, or the JSON file of that name, has each
    judge's own under its name. Raises ValueError for an unknown name or setting, for missing
    weights and for a class the judge cannot name.
    """
    members = split_names(name)
    given = read_settings(settings)
    if weights is not None and (len(members) > 1 or members[0][1]):
        raise ValueError(
            f"--judge-weights {str(weights)!r} does not say of which judge; write --judge "
            f"{members[0][0]}={weights}"
        )
    known = tuple(dict.fromkeys(vocabulary))
    judges = [_load_one(one, own or weights, known, given.get(one, {})) for one, own in members]
    if len(judges) == 1:
        return judges[0]
    from sipo.feedback.ensemble import make_ensemble

    rule = given.get("ensemble", {})
    _check_names("ensemble", rule, make_ensemble)
    return make_ensemble([one for one, _ in members], judges, **rule)


def split_names(name: str, option: str = "--judge") -> list[tuple[str, str | None]]:
    """ "a=weights,b" -> [("a", "weights"), ("b", None)]. Raises ValueError for an unknown judge."""
    members = []
    for part in name.split(","):
        one, _, own = part.strip().partition("=")
        if one not in JUDGES:
            raise ValueError(f"{option} {one!r} is unknown; choose one of {', '.join(JUDGES)}")
        members.append((one, own or None))
    return members


def read_settings(settings: str | Path | JudgeSettings | None) -> JudgeSettings:
    """Settings by judge. Raises ValueError for a file that is none, and for an unknown judge."""
    if settings is None:
        return {}
    if isinstance(settings, str | Path):
        settings = _read_json(Path(settings))
    for name, own in settings.items():
        if name not in JUDGES and name not in NOT_A_JUDGE:
            raise ValueError(
                f"judge settings for {name!r}, which is no judge; known are {', '.join(JUDGES)}"
            )
        if not isinstance(own, Mapping):
            raise ValueError(f"judge settings for {name!r} are {str(own)[:80]}; give a JSON object")
    return settings


def vocabulary_of(prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """The sorted class names a set of prompts speaks of."""
    return tuple(sorted({name for prompt in prompts for name in prompt.classes}))


def _load_one(
    name: str, weights: str | Path | None, vocabulary: Sequence[str], given: Mapping[str, Any]
) -> Judge:
    """`weights_sha256` in the settings names the weights they were made for."""
    module, function = JUDGES[name].split(":")
    loader: JudgeLoader = getattr(import_module(module), function)
    asked = dict(given)
    meant_for = asked.pop("weights_sha256", None)
    if not isinstance(meant_for, str | None):
        raise ValueError(f"judge {name!r}, setting weights_sha256: {meant_for!r} is no hash")
    _check_names(f"judge {name!r}", asked, loader)
    _check_thresholds(name, asked.get("thresholds"))
    judge = _called(name, loader, weights, vocabulary, asked)
    found = judge.describe().get("weights_sha256")
    if meant_for not in (None, found):
        raise ValueError(
            f"judge settings for {name!r} were made for weights {meant_for[:12]}..., not for "
            f"{str(found)[:12]}...; calibrate these weights, or take weights_sha256 out"
        )
    return judge


def _called(
    name: str,
    loader: JudgeLoader,
    weights: str | Path | None,
    vocabulary: Sequence[str],
    asked: Mapping[str, Any],
) -> Judge:
    """What is wrong with a setting's value, or with the files of the weights, is a ValueError."""
    from safetensors import SafetensorError

    try:
        strict = ConfigDict(allow_inf_nan=False)
        return validate_call(config=strict)(loader)(weights, vocabulary, **asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        setting = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"judge {name!r}, setting {setting}: {first['msg']} (got {str(first['input'])[:80]!r})"
        ) from None
    except (OSError, RuntimeError, KeyError, SafetensorError) as error:
        if getattr(error, "errno", None) is not None:  # a path, a full disk: said as such
            raise
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
            raise  # out of memory, and what else is none of the files' fault
        reason = " ".join(" ".join(str(error).splitlines()[:2]).split())[:200]
        where = "" if weights is None else f" from {str(weights)!r}"
        raise ValueError(
            f"judge {name!r} cannot be loaded{where}: {reason}; get its files again"
        ) from None


def _check_names(what: str, asked: Mapping[str, Any], taken_by: Callable[..., Any]) -> None:
    """What a loader takes beside weights and vocabulary are its keyword-only arguments."""
    parameters = signature(taken_by).parameters.values()
    known = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    for key in asked:
        if key not in known:
            near = get_close_matches(key, known, 1)
            remedy = (
                f"did you mean {near[0]}?" if near else f"it takes {', '.join(known) or 'none'}"
            )
            raise ValueError(f"{what} has no setting {key!r}; {remedy}")


def _check_thresholds(name: str, thresholds: Any) -> None:
    """Raises ValueError for what is no tag, and for a number that no score can be compared with.

    Other types are refused with the loader's other arguments.
    """
    for tag, value in thresholds.items() if isinstance(thresholds, Mapping) else ():
        where = f"judge {name!r}, setting thresholds"
        if tag not in TAGS:
            raise ValueError(f"{where}: {tag!r} is no tag; known are {', '.join(TAGS)}")
        if isinstance(value, bool) or (isinstance(value, int | float) and not 0 <= value <= 1):
            raise ValueError(f"{where}.{tag}: {value} must lie in [0, 1], as scores do")


def _read_json(path: Path) -> JudgeSettings:
    where = f"--judge-settings {str(path)!r}"
    try:
        text = read_again(path)
    except OSError:
        raise ValueError(f"{where} cannot be read; give a JSON file") from None
    value = parse_json(text, f"{where} is not JSON to go by")
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no JSON object; give one by judge")
    return value
