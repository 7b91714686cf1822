"""What the commands beside `generate` and `import` are asked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from sipo.backbones import settings as model
from sipo.common.settings import ARGUMENTS, DEVICE, DEVICES, OUT, Devices, StrictModel, setting
from sipo.datagen.settings import MARGIN, MAX_PAIRS, POLICY, Policy
from sipo.feedback import settings as feedback

VIEW = "view.html"
_AS_BEFORE = "as before"
_NEW = partial(
    setting, "Output", "New folder for it.", None, without="in place", metavar="NEW", url=True
)
_SHARDS = partial(setting, ARGUMENTS, "Folder that sipo-data wrote.", ..., metavar="SHARDS")


class FolderSettings(StrictModel):
    shards: Path = _SHARDS(url=True)


class JudgeAgainSettings(FolderSettings):
    judge: str = feedback.JUDGE(...)
    judge_weights: Path | None = feedback.JUDGE_WEIGHTS(None)
    judge_settings: Path | None = feedback.JUDGE_SETTINGS(None)
    judged_frames: int | None = feedback.JUDGED_FRAMES(None, without=_AS_BEFORE)
    frame_score: feedback.FrameScore | None = feedback.FRAME_SCORE(None, without=_AS_BEFORE)
    devices: Devices = DEVICES("auto")
    out: Path | None = _NEW()


class PairAgainSettings(FolderSettings):
    policy: Policy | None = POLICY(None, without=_AS_BEFORE)
    margin: float | None = MARGIN(None, without=_AS_BEFORE)
    max_pairs_per_prompt: int | None = MAX_PAIRS(None, without=_AS_BEFORE)
    out: Path | None = _NEW()


class MergeSettings(StrictModel):
    shards: tuple[Path, ...] = setting(
        ARGUMENTS, "Folders of one configuration.", ..., metavar="SHARDS...", url=True
    )
    out: Path = OUT(..., url=True)


class ViewSettings(FolderSettings):
    pairs: int | None = setting(
        "Output", "Pairs on the page, evenly taken.", None, without="all that fit", ge=1
    )
    out: Path | None = setting(
        "Output", "HTML file to write.", None, without=f"SHARDS/{VIEW}", url=True
    )


class InspectSettings(FolderSettings):
    rows: int = setting("Output", "Pairs on the page.", 48, ge=1)
    out: Path | None = setting(
        "Output", "HTML file to write.", None, without="SHARDS/contact.html", url=True
    )


class ReviewSettings(FolderSettings):
    shards: Path = _SHARDS()  # answers are added to a file
    rater: str = setting("Pairs", "Name of who decides, for the record.", "rater")
    port: int = setting("Machine", "Port of the page.", 0, without="a free one")


class CalibrateJudgeSettings(StrictModel):
    images: Path = setting(
        ARGUMENTS,
        "Folder in GenEval's layout (with results.jsonl its labels count; without, every image is "
        'taken to show its prompt), or JSONL rows {"image", "prompt", "correct"}.',
        ...,
        metavar="IMAGES",
    )
    judge: str = feedback.JUDGE("yolo-world")
    judge_weights: Path | None = feedback.JUDGE_WEIGHTS(None)
    judge_settings: Path | None = feedback.JUDGE_SETTINGS(None)
    people: Path | None = setting(
        "Judge",
        "CSV or JSON lines of people's word on IMAGES, of which IMAGES may be a folder of shards "
        'too: image (or candidate) and right ("yes" or "no"). Any judge may be asked then.',
        None,
        without="labels are those of IMAGES",
    )
    gain: float = setting(
        "Judge",
        "Gain of a share of correct images by this judge, of which --people says how much to "
        "believe.",
        0.1,
        ge=-1,
        le=1,
    )
    out: Path = setting("Output", "JSON file of --judge-settings to write.", Path("judge.json"))


class ServeJudgeSettings(StrictModel):
    judge: str = feedback.JUDGES_NAMED(
        ARGUMENTS, "Judge to serve, or module:attribute of your own; several are one judge.", ...
    )
    judge_weights: Path | None = feedback.JUDGE_WEIGHTS(None)
    judge_settings: Path | None = feedback.JUDGE_SETTINGS(None)
    prompts: Path | None = setting(
        "Prompts",
        "Prompts that requests send by their text: a detector takes clauses and classes from here.",
        None,
        without="clauses and classes come with each request",
    )
    host: str = setting("Machine", "Address to listen on; 0.0.0.0 is all of them.", "127.0.0.1")
    port: int = setting("Machine", "Port to listen on; 0 is a free one.", 8000, ge=0, le=65535)
    key_env: str | None = setting(
        "Machine",
        "Environment variable with a key that whoever asks must send as a bearer token.",
        None,
        without="no key is asked for",
    )


class EncodingSettings(StrictModel):
    """How a backbone's VAE and text encoders are run."""

    backbone: str | None = model.BACKBONE(None, without="do not encode yet")
    batch_size: int = setting("Machine", "Pictures that are encoded at a time.", 8, ge=1)
    dtype: model.Dtype = model.DTYPE("auto")
    device: str = DEVICE("auto")
    devices: Devices = DEVICES("auto")


class EncodeSettings(EncodingSettings, FolderSettings):
    backbone: str = model.BACKBONE("mini-sd")


class ExportSettings(FolderSettings):
    format: Literal["parquet", "webdataset", "hf", "fiftyone"] = setting(
        "Output", "Layout to write.", "parquet"
    )
    out: Path = OUT(...)


class PushSettings(FolderSettings):
    shards: Path = _SHARDS()
    repo_id: str = setting(
        "Hub", "Dataset to push to.", ..., metavar="OWNER/NAME", also="hub_dataset_id"
    )
    private: bool = setting("Hub", "Make the dataset private.", False, also="hub_private")
    license: str | None = setting(
        "Hub", "Licence of the pictures, as the hub names it.", None, without="the base's, if known"
    )
