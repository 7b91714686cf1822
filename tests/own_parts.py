"""docs/own-parts.md as a reader follows it: its code blocks as files, a package that names them."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "own-parts.md"
DISTRIBUTION = "own_parts_example"


def python_blocks(section: str) -> list[str]:
    """The section's indented blocks that are Python, without their indent."""
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=\n*    ))+", text, re.MULTILINE)
    code = [re.sub("^    ", "", block, flags=re.MULTILINE).strip() + "\n" for block in blocks]
    return [one.partition("\nsipo-")[0] for one in code if one.startswith(("from ", "import "))]


def install(folder: Path, group: str, **points: str) -> None:
    """What pip leaves of a package of version 1.5 that names `points` in `group`."""
    info = folder / f"{DISTRIBUTION}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 1.5\n")
    named = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{named}")
