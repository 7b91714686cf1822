"""What is said of a model beside its weights: its pipeline's class, its licence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from sipo.backbones.loading.model_folders import INDEX
from sipo.backbones.loading.names import is_embedded, is_part
from sipo.common.files.text import read_json, read_text
from sipo.common.hub import card_of_model
from sipo.common.markdown_card import CARD
from sipo.weights import weights_folder

UNKNOWN = "unknown"
"""The hub's identifier of a licence that nobody has said."""


@dataclass(frozen=True)
class Licence:
    """As the hub's cards write it: an identifier, and for `other` its name and where it is."""

    id: str
    name: str | None = None
    link: str | None = None

    def __str__(self) -> str:
        named = f"{self.id} ({self.name})" if self.name else self.id
        return f"{named}, {self.link}" if self.link else named


EMBEDDED_LICENCE = Licence("apache-2.0")


def public_name(backbone: str) -> str:
    """Of a folder its name alone: where it lies is nobody's business."""
    return Path(backbone).resolve().name if Path(backbone).is_dir() else backbone


def pipeline_class(backbone: str) -> str | None:
    """ "FluxPipeline"; None where that is not known on this machine."""
    try:
        index = _file(backbone, INDEX)
        return None if index is None else str(read_json(index)["_class_name"])
    except (OSError, ValueError, KeyError):
        return None


def licence_of(backbone: str) -> Licence | None:
    """What the model's own card says, beside its files or on the hub; None where none says it."""
    if is_embedded(backbone):
        return EMBEDDED_LICENCE
    if is_part(backbone):
        return None
    if (card := _file(backbone, CARD)) is not None:
        return _licence_in(read_text(card, "card", errors="replace"))
    text = None if Path(backbone).is_dir() else card_of_model(backbone)
    return None if text is None else _licence_in(text)


def _file(backbone: str, name: str) -> Path | None:
    """Of a model's folder, or of what the hub's cache has of it."""
    if is_embedded(backbone):
        backbone = str(weights_folder(Path(backbone).name))
    if Path(backbone).is_dir():
        path = Path(backbone) / name
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(backbone, name)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _licence_in(card: str) -> Licence | None:
    """Of a card's head, YAML between two lines of dashes."""
    first, _, rest = card.partition("\n")
    if first.strip() != "---":
        return None
    try:
        head = yaml.safe_load(rest.partition("\n---")[0])
        said = head.get("license")
    except (yaml.YAMLError, AttributeError):
        return None
    if not isinstance(said, str) or not said.strip():
        return None
    name, link = (head.get(f"license_{part}") for part in ("name", "link"))
    return Licence(said, str(name) if name else None, str(link) if link else None)
