"""Settings files and recipes are read as people mean them; what is wrong says its line."""

from __future__ import annotations

import codecs
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from sipo.common.files.yaml_files import YamlMap, read_yaml, to_yaml


def read(folder: Path, text: str | bytes) -> Any:
    path = folder / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path, "settings file")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("off", "off"),
        ("1:50", "1:50"),
        ("2024-01-01", "2024-01-01"),
        ("010", 10),
        ("1e-4", 0.0001),
        ("-1.5E+3", -1500.0),
        ("0x10", 16),
        ("-.inf", -math.inf),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1e-4'", "1e-4"),
        ("[a, 2]", ["a", 2]),
    ],
)
def test_a_scalar_is_what_it_looks_like(tmp_path: Path, written: str, meant: object) -> None:
    found = read(tmp_path, f"name: {written}\n")["name"]
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize(
    "encoded",
    [
        codecs.BOM_UTF8 + b"a: \xc3\xa4\r\n",
        codecs.BOM_UTF16_LE + "a: ä\n".encode("utf-16-le"),
        b"a: \xc3\xa4",
    ],
)
def test_editors_encodings_are_read(tmp_path: Path, encoded: bytes) -> None:
    assert read(tmp_path, encoded) == {"a": "ä"}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: 'a' is set a second time (first in line 1)"),
        ("b:\n  a: 1\n  a: 1\n", "line 3, column 3: 'a' is set a second time"),
        ("a:\n\tb: 1\n", "line 2, column 1: found character '\\t' that cannot start any token; "),
        ("a: [1\n", "line 2, column 1: expected ',' or ']'"),
        ("a: 1\n1: 2\n", "line 2, column 1: a name must be a word"),
        ("[a]: 1\n", "line 1, column 1: a name must be a word"),
        ("a: 1\n---\nb: 1\n", "expected a single document"),
        ("a: *nowhere\n", "found undefined alias 'nowhere'"),
        ("a: !!python/name:os.system x\n", "could not determine a constructor"),
        ("a: !!int many\n", "line 1, column 4: 'many' is no number"),
        ("a: &a [*a]\n", "refers to itself so often"),
        (BOMB, "refers to itself so often"),
        ("[" * 5000, "is nested too deeply"),
        (b"a: \xff", "is not UTF-8"),
        ("a: \x00", "is no YAML"),
    ],
)
def test_what_is_wrong_says_where(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=r"settings file '.*run\.yaml'") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_a_merged_mapping_may_be_written_over(tmp_path: Path) -> None:
    found = read(tmp_path, "base: &b {rank: 3, seed: 1}\nmore: {<<: *b, rank: 4}\n")
    assert found["more"] == {"rank": 4, "seed": 1}


def test_two_names_of_one_setting_are_refused(tmp_path: Path) -> None:
    found: YamlMap = read(tmp_path, "beta: 1\nbeta_dpo: 2\n")
    with pytest.raises(ValueError, match="line 2: 'beta_dpo' and 'beta' are one setting"):
        found.renamed(lambda key: "beta_dpo")


def test_what_is_written_is_read_back_by_both_versions_of_yaml(tmp_path: Path) -> None:
    values = {f"name-{i}": text for i, text in enumerate(["no", "1:50", "0o17", "1e-4", "010"])}
    values |= {"date": "2024-01-01", "mark": "a\u2028b", "tilde": "~", "empty": "", "ä": "<<"}
    given = values | {"rate": 1e-5, "list": ["a", "b"], "flag": True}
    text = to_yaml(given)
    assert read(tmp_path, text) == yaml.safe_load(text) == given
