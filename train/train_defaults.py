"""`sipo-train` where little is said: what the model's `defaults.json` says goes under it.

The model is the one that the shards were sampled from. What a run was begun with goes before what
the model's file says by now, so a run goes on as it was begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sipo.backbones.loading.names import EMBEDDED
from sipo.backbones.model_defaults import Completed, Layer, defaults_of, section_layer
from sipo.common.settings import PLACES, shown
from sipo.datagen.storage.shard_folder import split_shards
from sipo.train.settings import TrainSettings, make_settings, read_yaml, setting_name

LENGTHS = {"max_train_steps", "pairs_seen", "num_train_epochs"}
"""One of them says how long."""
_OTHERS = {"Data", "Validation", "Machine", "Output"}
_NEVER = {"judge", "backbone", "reference", "expert", "resume_from_checkpoint", "seed"}


def may_say(name: str) -> bool:
    """Whether a model's file decides it: how it is trained, neither on what, where nor by whom."""
    field = TrainSettings.model_fields.get(name)
    if field is None or name in _NEVER:
        return False
    return shown(field).group not in _OTHERS and shown(field).metavar not in PLACES


def model_layer(backbone: str, objective: object = None) -> Layer:
    """What the model's file says of training by this objective; by its own, where none is said.

    Raises ValueError that names the file.
    """
    found, file = defaults_of(backbone)
    settings = found.train.settings
    by = objective or settings.get("objective") or TrainSettings.model_fields["objective"].default
    if ":" in str(settings.get("objective", "")):
        raise ValueError(f"{file}: objective: a model's file names none from outside; take it out")
    values = settings | found.train.objectives.get(str(by), {})
    return section_layer(file, values, may_say, TrainSettings)


def complete(given: Mapping[str, object], backbone: str = "") -> Completed[TrainSettings]:
    """`backbone` is the name of one that is loaded. A name that is given as None is said, too.

    Raises ValueError as `make_settings`, and for a model's file that is wrong.
    """
    said = {setting_name(key): value for key, value in given.items()}
    name = backbone or str(said.get("backbone") or "") or sampled_from(_folders(said.get("data")))
    layer = model_layer(name, said.get("objective"))
    if layer.values:
        layer = _fitting(layer.under(said), said)
        asked = make_settings({**layer.values, **given})
        layer = _as_begun(Path(asked.out), layer)
    return Completed(make_settings({**layer.values, **given}), layer.told)


def _fitting(layer: Layer, said: Mapping[str, object]) -> Layer:
    """Without what goes with another than was said."""
    if LENGTHS & said.keys():
        layer = layer.under(LENGTHS)
    if "full" in said and "full" not in layer.values:  # the rates of a LoRA are not the model's
        layer = layer.under({"learning_rate", "rank", "lora_alpha", "lora_targets"})
    return layer


def _as_begun(out: Path, layer: Layer) -> Layer:
    """Of a run that is gone on with what it says itself."""
    file = out / "settings.yaml"
    if not file.is_file():
        return layer
    run = read_yaml(file)
    return Layer({name: run[name] for name in layer.values if run.get(name) is not None}, file)


def _folders(data: object) -> list[Path]:
    if isinstance(data, str | Path):
        return [split_shards(data)[0]]
    return [split_shards(str(text))[0] for text in data] if isinstance(data, Iterable) else []


def sampled_from(folders: list[Path]) -> str:
    """The model of shards by its name, or its folder where that is; "" where nothing says it.

    What is wrong with shards is said where they are opened.
    """
    from sipo.datagen.storage.folder_config import FILE, FolderConfig
    from sipo.datagen.storage.local_backbones import places, recall

    if not folders or not (folders[0] / FILE).is_file():
        return ""
    try:
        name = FolderConfig.read(folders[0]).backbone.name
    except ValueError:
        return ""
    if name in EMBEDDED:
        return name
    looked = places(folders[0], recall(folders[0]).get("backbone", name))
    return next((str(path) for path in looked if (path / "model_index.json").is_file()), "")
