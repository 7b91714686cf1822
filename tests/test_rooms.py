"""No arrow runs back, and none runs in a circle: which room, folder and file may import which."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {"common", "weights", "pages", "recipes"}
MAY_KNOW: dict[str, set[str]] = {
    "common": set(),
    "weights": set(),
    "pages": {"common"},
    "recipes": {"common"},
    "feedback": {*GROUND},
    "backbones": {*GROUND},
    "mini": {*GROUND, "feedback", "backbones"},
    "datagen": {*GROUND, "feedback", "backbones"},
    "train": {*GROUND, "feedback", "backbones", "datagen"},
    "geneval": {*GROUND, "feedback", "backbones"},
    "loop": {*GROUND, "feedback", "backbones", "datagen", "train", "geneval"},
    "sipo": {*GROUND, "feedback", "backbones", "datagen", "train", "geneval", "loop"},
}
FILES = {room: sorted((ROOT / room).rglob("*.py")) for room in MAY_KNOW}
NAMED = re.compile(r"sipo(\.\w+){2,}(?=:|$)")
"""A module that is named in a string, as tables of `module:attribute` name it."""


def _name(path: Path) -> str:
    """`train/cli.py` -> sipo.train.cli; `sipo/cli.py` -> sipo.cli."""
    parts = [part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__"]
    return ".".join(parts if parts[0] == "sipo" else ["sipo", *parts])


MODULES = {_name(path): path for files in FILES.values() for path in files}


def _named(tree: ast.Module) -> Iterator[str]:
    """Every module or attribute of ours that a file imports, also inside functions and strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and (found := NAMED.match(str(node.value))):
            yield found[0]


def _module_of(name: str) -> str | None:
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def _arrows(path: Path) -> set[str]:
    """The modules of ours that a file knows, itself left out."""
    found = {_module_of(name) for name in _named(ast.parse(path.read_text(encoding="utf-8")))}
    return {name for name in found if name} - {_name(path), "sipo"}


ARROWS = {name: _arrows(path) for name, path in MODULES.items()}


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_what_it_may(room: str) -> None:
    assert FILES[room]
    for path in FILES[room]:
        for module in ARROWS[_name(path)]:
            other = MODULES[module].relative_to(ROOT).parts[0]
            allowed = other == room or other in MAY_KNOW[room]
            assert allowed, f"{path.relative_to(ROOT)} knows {module}"


def _require_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_file_knows_itself_through_others() -> None:
    _require_no_circle(ARROWS)


def test_no_folder_of_a_room_knows_itself_through_others() -> None:
    """Files at the top of a room are its commands and what joins its folders."""
    folders: dict[str, set[str]] = {}
    for name, known in ARROWS.items():
        inside = MODULES[name].parent.relative_to(ROOT)
        there = {MODULES[other].parent.relative_to(ROOT) for other in known} - {inside}
        if len(inside.parts) > 1:
            folders.setdefault(str(inside), set()).update(
                str(folder) for folder in there if len(folder.parts) > 1
            )
    _require_no_circle(folders)


def test_an_arrow_in_a_string_is_seen() -> None:
    """As import tables hide them."""
    tree = ast.parse('TABLE = {"flux": "sipo.backbones.images.flux:Flux"}\nGROUP = "sipo.judges"')
    assert [_module_of(name) for name in _named(tree)] == ["sipo.backbones.images.flux"]


def test_files_of_one_name_do_one_job() -> None:
    """A room may have its own of each of these; every other name is found once."""
    each_room = {"__init__", "__main__", "api", "base", "build", "cli", "registry", "settings"}
    each_room |= {"next_commands", "refusals", "summary", "tables"}
    names = [path.stem for files in FILES.values() for path in files if path.stem not in each_room]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_ultralytics_is_imported_in_two_places() -> None:
    """It is AGPL-3.0: the judge that runs it, and the recipe that trained the embedded weights."""
    naming = re.compile(
        r"^\s*(from|import) ultralytics|import_module\(\s*\"ultralytics", re.MULTILINE
    )
    files = (path for room in MAY_KNOW for path in FILES[room])
    found = {
        str(path.relative_to(ROOT))
        for path in files
        if naming.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"feedback/detectors/yolo_world.py", "mini/train/yolo_world_mini.py"}
