"""What is published: the source distribution is the tree, the wheel its rooms, and works alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

import sipo

ROOT = Path(__file__).parents[1]
ROOMS = re.findall(r'^    "(\w+)",$', (ROOT / "setup.py").read_text(encoding="utf-8"), re.MULTILINE)
OF_THE_HOST = (".ci/", ".github/", ".gitignore")
"""In the repository and in no distribution."""
MADE = ("PKG-INFO", "setup.cfg", "sipo.egg-info/")
_BUILD = """
import sys
out = sys.argv.pop()
from setuptools import build_meta
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""


def tracked() -> list[str]:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no repository, of which git would list the files")
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(sdist, wheel) of a copy of what the repository has: building leaves files behind."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    subprocess.run(
        [sys.executable, "-c", _BUILD, out], cwd=copy, check=True, capture_output=True, text=True
    )
    [sdist], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.mark.slow
def test_the_source_distribution_is_the_tree(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as tar:
        names = {one.name.partition("/")[2] for one in tar if one.isfile()}
    ours = {name for name in names if not name.startswith(MADE)}
    assert ours == {name for name in tracked() if not name.startswith(OF_THE_HOST)}


@pytest.mark.slow
def test_the_wheel_is_the_rooms(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        [meta] = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        facts = Parser().parsestr(file.read(meta).decode())
    of_rooms = {
        f"sipo/{name}" for name in tracked() if name.startswith(tuple(f"{r}/" for r in ROOMS))
    }
    assert names == of_rooms | {name for name in tracked() if name.startswith("sipo/")}
    assert facts["Version"] == sipo.__version__
    assert facts["Author"] == "The sipo authors"
    description = str(facts.get_payload())
    assert description.startswith("# sipo")
    assert "](docs" not in description
    assert "![" not in description


@pytest.mark.slow
def test_the_wheel_alone_has_the_embedded_world(built: tuple[Path, Path], tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    with zipfile.ZipFile(built[1]) as file:
        file.extractall(alone)
    code = (
        "import sipo; from sipo.cli import main; "
        f"assert sipo.__file__.startswith({str(alone)!r}), sipo.__file__; "
        "main('data generate --suite mini-train --num-prompts 1 --candidates 2 --steps 2 "
        "--workers 1 --out shards'.split())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(alone)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shards" / "summary.json").is_file()


def test_version_and_citation_are_one() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == sipo.__version__
    heads = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert next(line for line in heads if line.startswith("## ")) == f"## {sipo.__version__}"


def test_templates_and_hooks_can_be_read() -> None:
    files = [ROOT / ".pre-commit-config.yaml", *(ROOT / ".github").rglob("*.yml")]
    assert all(yaml.safe_load(file.read_text(encoding="utf-8")) for file in files)
