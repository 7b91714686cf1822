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


def _imports(tree: ast.Module) -> list[tuple[str, bool]]:
    """(module, whether at the top level) of every import of ours."""
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found += [(name, id(node) in top) for name in names if name.startswith("sipo.")]
    return found


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for module, top_level in _imports(ast.parse(path.read_text())):
            other = module.split(".")[1]
            allowed = other == room or other in MAY_KNOW[room] or other in EVERYWHERE
            lazy_default = other == "mini" and not top_level
            assert allowed or lazy_default, f"{path.relative_to(ROOT)} imports {module}"


def test_ultralytics_is_imported_in_two_places() -> None:
    """It is AGPL-3.0: the judge that runs it, and the recipe that trained the embedded weights."""
    naming = re.compile(
        r"^\s*(from|import) ultralytics|import_module\(\s*\"ultralytics", re.MULTILINE
    )
    files = (path for room in MAY_KNOW for path in (ROOT / room).rglob("*.py"))
    found = {str(path.relative_to(ROOT)) for path in files if naming.search(path.read_text())}
    assert found == {"feedback/detectors/yolo_world.py", "mini/train/yolo_world_mini.py"}
