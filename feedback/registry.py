"""The names that judges are called by, and how one, or several as one, is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from sipo.common.files.pipes import read_again
from sipo.common.files.strict_json import parse_json
from sipo.common.plugins import Part, find_part, installed_names, near_first
from sipo.feedback.ensemble import make_ensemble
from sipo.feedback.judge import Judge
from sipo.feedback.judge_loading import JudgeLoader, call_loader, check_names, keywords
from sipo.feedback.judge_urls import is_url
from sipo.feedback.prompts.prompt import Prompt

JUDGES = {
    "yolo-world": "sipo.feedback.detectors.yolo_world:load_yolo_world",
    "owlv2": "sipo.feedback.detectors.owlv2:load_owlv2",
    "mask2former": "sipo.feedback.detectors.mask2former:load_mask2former",
    "vlm": "sipo.feedback.vlm:load_vlm",
    "http": "sipo.feedback.remote.load_http:load_http",
    "pickscore": "sipo.feedback.scorers.pickscore:load_pickscore",
    "hpsv2": "sipo.feedback.scorers.hps:load_hpsv2",
    "hpsv2.1": "sipo.feedback.scorers.hps:load_hpsv21",
    "image-reward": "sipo.feedback.scorers.image_reward:load_image_reward",
    "aesthetic": "sipo.feedback.scorers.aesthetic:load_aesthetic",
    "hpsv3": "sipo.feedback.scorers.hpsv3:load_hpsv3",
    "unified-reward": "sipo.feedback.unified_reward:load_unified_reward",
    "videoalign": "sipo.feedback.scorers.video_align:load_video_align",
    "ocr": "sipo.feedback.scorers.ocr:load_ocr",
    "mini-evaluator": "sipo.feedback.detectors.centernet:load_centernet",
    "fake": "sipo.feedback.fake:load_fake",
}
"""Name -> its JudgeLoader."""

MOST_BOXES = {"yolo-world": 300, "owlv2": 1000, "mask2former": 100, "mini-evaluator": 64}
"""The detectors: they need a prompt's clauses, and tell apart no more objects of an image."""

NOT_A_JUDGE = ("ensemble", "calibration")
"""What a settings file may hold beside judges: several's rule, and thresholds' worth."""

JudgeSettings = Mapping[str, Mapping[str, object]]


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
    rule = given.get("ensemble", {})
    check_names("ensemble", rule, keywords(make_ensemble))
    return make_ensemble([one for one, _ in members], judges, **rule)


def split_names(name: str, option: str = "--judge") -> list[tuple[str, str | None]]:
    """ "a=weights,b" -> [("a", "weights"), ("b", None)]. Raises ValueError for an unknown judge."""
    members = []
    for part in name.split(","):
        one, _, weights = part.strip().partition("=")
        require_judge(one, option)
        members.append((one, weights or None))
    return members


def require_judge(name: str, option: str = "--judge") -> None:
    """Raises ValueError for what is no judge of ours and none from outside."""
    if is_url(name):
        raise ValueError(f"{option} is a URL alone; write {option} http=URL")
    if not _is_known(name, option):
        names = [*JUDGES, *installed_names("sipo.judges")]
        raise ValueError(
            f"{option} {name!r} is unknown; choose one of {', '.join(near_first(name, names))}, "
            "or module:attribute of your own"
        )


def read_settings(settings: str | Path | JudgeSettings | None) -> JudgeSettings:
    """Settings by judge. Raises ValueError for a file that is none, and for an unknown judge."""
    if settings is None:
        return {}
    if isinstance(settings, str | Path):
        settings = _read_json(Path(settings))
    for name, own in settings.items():
        if name not in NOT_A_JUDGE and not _is_known(name, "judge settings for"):
            raise ValueError(
                f"judge settings for {name!r}, which is no judge; known are {', '.join(JUDGES)}"
            )
        if not isinstance(own, Mapping):
            raise ValueError(f"judge settings for {name!r} are {str(own)[:80]}; give a JSON object")
    return settings


def vocabulary_of(prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """The sorted class names a set of prompts speaks of."""
    return tuple(sorted({name for prompt in prompts for name in prompt.classes}))


def _is_known(name: str, option: str) -> bool:
    return name in JUDGES or find_part("sipo.judges", name, option) is not None


def _load_one(
    name: str, weights: str | Path | None, vocabulary: Sequence[str], given: Mapping[str, object]
) -> Judge:
    """`weights_sha256` in the settings names the weights they were made for."""
    asked = dict(given)
    meant_for = asked.pop("weights_sha256", None)
    if not isinstance(meant_for, str | None):
        raise ValueError(f"judge {name!r}, setting weights_sha256: {meant_for!r} is no hash")
    if name in JUDGES:
        module, function = JUDGES[name].split(":")
        loader: JudgeLoader = getattr(import_module(module), function)
        judge = call_loader(name, loader, weights, vocabulary, asked)
    else:
        from sipo.feedback.own_judge import load_own  # torch waits until a judge is loaded

        part = find_part("sipo.judges", name, "--judge")
        assert isinstance(part, Part), "split_names has found it"
        judge = load_own(part, weights, vocabulary, asked)
    found = judge.describe().get("weights_sha256")
    if meant_for not in (None, found):
        raise ValueError(
            f"judge settings for {name!r} were made for weights {str(meant_for)[:12]}..., not for "
            f"{str(found)[:12]}...; calibrate these weights, or take weights_sha256 out"
        )
    return judge


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
