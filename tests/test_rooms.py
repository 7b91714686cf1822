"""No arrow runs back: which room may import which."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_KNOW = {
    "common": set(),
    "weights": set(),
    "pages": set(),
    "feedback": {"weights"},
    "backbones": {"weights"},
    "datagen": {"backbones", "feedback", "pages"},
    "train": {"backbones", "datagen", "feedback", "pages"},
    "geneval": {"backbones", "feedback", "pages"},
    "loop": {"geneval", "train", "datagen", "backbones", "feedback", "pages"},
    "mini": {"feedback", "backbones", "weights"},
    "recipes": set(),
}
EVERYWHERE = ("common", "recipes")


NAMED = re.compile(r"sipo\.[\w.]+:\w+")
"""A module and what is to be imported of it, as a string."""


def _imports(tree: ast.Module) -> list[str]:
    """The modules of ours that a file imports, or names to be imported later."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and NAMED.fullmatch(str(node.value)):
            found.append(str(node.value))
    return [name for name in found if name.startswith("sipo.")]


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for module in _imports(ast.parse(path.read_text())):
            other = module.split(".")[1]
            allowed = other == room or other in MAY_KNOW[room] or other in EVERYWHERE
            assert allowed, f"{path.relative_to(ROOT)} imports {module}"


def test_ultralytics_is_imported_in_two_places() -> None:
    """It is AGPL-3.0: the judge that runs it, and the recipe that trained the embedded weights."""
    naming = re.compile(
        r"^\s*(from|import) ultralytics|import_module\(\s*\"ultralytics", re.MULTILINE
    )
    files = (path for room in MAY_KNOW for path in (ROOT / room).rglob("*.py"))
    found = {str(path.relative_to(ROOT)) for path in files if naming.search(path.read_text())}
    assert found == {"feedback/detectors/yolo_world.py", "mini/train/yolo_world_mini.py"}
