"""Each kind of damage is found, named, refused by training and mended by the same command."""

from __future__ import annotations

import json
import random
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sipo.backbones.base import Backbone
from sipo.datagen.cli import main
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge

Damage = Callable[[Path], None]


def _cut(name: str, count: int) -> Damage:
    def cut(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:count])

    return cut


def _remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def _garble(folder: Path) -> None:
    (folder / "pairs-000001.json").write_text('{"kind": "pai')


MENDED: dict[str, tuple[Damage, str]] = {
    "pairs cut inside a member": (_cut("pairs-000000.tar", 5000), "pairs-000000.tar is truncated"),
    "candidates cut": (_cut("candidates-000001.tar", 9000), "candidates-000001.tar is truncated"),
    "tar missing": (_remove("pairs-000001.tar"), "pairs-000001.tar is missing"),
    "index missing": (_remove("pairs-000002.json"), "pairs-000002.tar is not complete"),
    "index garbled": (_garble, "pairs-000001.json is not an index"),
    "embeddings cut": (_cut("pairs-000000.safetensors", 900), "pairs-000000.safetensors"),
    "embeddings missing": (_remove("pairs-000002.safetensors"), "pairs-000002.safetensors"),
}


def test_nothing_is_wrong_with_a_whole_folder(shards: Path) -> None:
    assert list(find_damage(shards)) == []


@pytest.mark.parametrize("kind", MENDED)
def test_damage_is_named_refused_and_mended(
    kind: str, shards: Path, settings: GenerateSettings, tiny_backbone: Backbone
) -> None:
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    damage, sentence = MENDED[kind]
    damage(shards)
    assert any(sentence in found for found in find_damage(shards))
    if "candidates" not in sentence:
        with pytest.raises(ValueError, match=sentence.split()[0]):
            PairDataset(shards)
    asked = settings.model_copy(update={"out": shards})
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before


def test_a_changed_byte_is_found(shards: Path) -> None:
    path = shards / "pairs-000000.tar"
    data = bytearray(path.read_bytes())
    data[1500] ^= 1
    path.write_bytes(data)
    assert ["sha256" in sentence for sentence in find_damage(shards)] == [True]


def test_a_sample_without_a_field_is_found(shards: Path) -> None:
    """A tar that ends between members, with an index made to fit: WebDataset would not notice."""
    path = shards / "pairs-000002.tar"
    index = json.loads(path.with_suffix(".json").read_bytes())
    first = next(iter(index["samples"]))
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo(f"{first}.winner.png"))
    index["tar"]["bytes"] = path.stat().st_size
    path.with_suffix(".json").write_text(json.dumps(index))
    assert any("lacks json, loser.npy" in sentence for sentence in find_damage(shards))


def test_a_shard_of_another_command_is_foreign(
    shards: Path, settings: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    other = settings.model_copy(update={"out": tmp_path / "other", "seed": 9})
    generate(other, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    for name in ("pairs-000001.tar", "pairs-000001.json"):
        shutil.copy(other.out / name, shards / name)
    assert any("pairs-000001.tar is foreign" in found for found in find_damage(shards))
    with pytest.raises(ValueError, match="foreign"):
        PairDataset(shards)
    asked = settings.model_copy(update={"out": shards})
    with pytest.raises(ValueError, match="foreign"):
        generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)


def test_files_that_are_no_shards_of_the_folder_are_foreign(shards: Path) -> None:
    for name in ("laion.tar", "pairs-000007.tar"):
        shutil.copy(shards / "pairs-000000.tar", shards / name)
    found = list(find_damage(shards))
    assert len(found) == 2
    assert all("foreign" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "no shards"),
        ({"a.tar": b""}, r"a\.tar, which"),
        ({"config.json": b"{}"}, "does not say"),
    ],
)
def test_other_folders_are_refused(
    content: dict[str, bytes], sentence: str, tmp_path: Path
) -> None:
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    for read in (PairDataset, lambda path: list(find_damage(path))):
        with pytest.raises(ValueError, match=sentence):
            read(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        PairDataset(tmp_path / "nowhere")


def _put(value: Any, at: Sequence[str], new: Any) -> Any:
    """`value` with `new` in a place of it."""
    if not at:
        return new
    return value | {at[0]: _put(value[at[0]], at[1:], new)}


DEEP = "[" * 100_000 + "]" * 100_000
STRANGE: dict[str, Any] = {
    "null": None,
    "a word": "three",
    "a list": [[[]]],
    "an object": {"a": {}},
    "a huge number": 10**30,
    "a negative number": -1,
    "a fraction": 0.5,
}


PLACES: list[tuple[str, ...]] = [
    ("shards",),
    ("prompts",),
    ("prompts", "count"),
    ("backbone",),
    ("candidates",),
    ("prompts_per_shard",),
    ("versions",),
    ("judge",),
    ("max_pairs_per_prompt",),
    ("policy",),
    ("sampler",),
]
MAY_BE_SO = {(("sampler",), "null"), (("judge",), "an object")}
DAMAGES = [(at, kind) for at in PLACES for kind in STRANGE if (at, kind) not in MAY_BE_SO]


@pytest.mark.parametrize(("at", "kind"), DAMAGES)
def test_a_damaged_configuration_is_named(at: tuple[str, ...], kind: str, shards: Path) -> None:
    path, value = shards / "config.json", STRANGE[kind]
    path.write_text(json.dumps(_put(json.loads(path.read_bytes()), at, value)))
    for command in ("validate", "inspect", "pair"):
        result = CliRunner().invoke(main, [command, str(shards)])
        assert result.exit_code == 2, (command, result.output, result.exception)
        assert "config.json" in result.output
        assert at[0] in result.output


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize(
    "at",
    [
        ("tar",),
        ("tar", "bytes"),
        ("samples",),
        ("samples", "{first}"),
        ("samples", "{first}", "members"),
        ("samples", "{first}", "members", "json"),
        ("samples", "{first}", "prompt"),
        ("samples", "{first}", "tag"),
        ("shard",),
        ("made_by",),
    ],
)
@pytest.mark.parametrize("name", ["candidates-000001", "pairs-000000"])
def test_a_damaged_index_is_named(name: str, at: tuple[str, ...], kind: str, shards: Path) -> None:
    path, value = shards / f"{name}.json", STRANGE[kind]
    index = json.loads(path.read_bytes())
    first = next(iter(index["samples"]))
    place = [part.format(first=first) for part in at]
    path.write_text(json.dumps(_put(index, place, value)))
    result = CliRunner().invoke(main, ["validate", str(shards)])
    assert result.exit_code == 2, (result.output, result.exception)
    assert name in result.output


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("candidates-000000", "correct", "not"),
        ("candidates-000000", "score", 0.123),
        ("candidates-000000", "tag", "colors"),
        ("pairs-000000", "margin", 0.123),
        ("pairs-000000", "winner", "cand-00000099"),
        ("pairs-000000", "loser", ""),
    ],
)
def test_an_index_that_says_another_thing_than_its_tar(
    name: str, at: str, value: Any, shards: Path
) -> None:
    path = shards / f"{name}.json"
    index = json.loads(path.read_bytes())
    key, sample = next(iter(index["samples"].items()))
    value = not sample[at] if value == "not" else value
    path.write_text(json.dumps(_put(index, ("samples", key, at), value)))
    [found] = list(find_damage(shards))
    assert f"{name}.tar: {key} is not what its index says" in found


@pytest.mark.parametrize("text", ["", "[]", "3", DEEP, '{"kind": ' + DEEP + "}", "\xff\xfe", "NaN"])
@pytest.mark.parametrize("name", ["config.json", "candidates-000000.json", "pairs-000001.json"])
def test_json_that_is_another_thing(name: str, text: str, shards: Path) -> None:
    (shards / name).write_bytes(text.encode("latin-1"))
    result = CliRunner().invoke(main, ["validate", str(shards)])
    assert result.exit_code == 2, (result.output, result.exception)
    assert name in result.output


def test_damaged_prompts_and_decisions_are_found(shards: Path) -> None:
    (shards / "review.jsonl").write_text('{"pair": "x", "decision": "burn"}\n')
    (shards / "prompts.jsonl").write_bytes((shards / "prompts.jsonl").read_bytes()[:-5])
    found = list(find_damage(shards))
    assert any("prompts.jsonl was changed" in sentence for sentence in found)
    assert any("review.jsonl: pair x is decided 'burn'" in sentence for sentence in found)
    (shards / "prompts.jsonl").unlink()
    assert any("prompts.jsonl is missing" in sentence for sentence in find_damage(shards))


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_anywhere_are_a_sentence(seed: int, shards: Path) -> None:
    """Of any file: some are found, all end as a command ends."""
    draw = random.Random(seed)
    path = draw.choice(sorted(path for path in shards.iterdir() if path.suffix != ".jsonl"))
    data = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 3, 30))):
        place = draw.randrange(len(data))
        data[place] = draw.randrange(256)
    path.write_bytes(data)
    for command in ("validate", "inspect", "pair"):
        result = CliRunner().invoke(main, [command, str(shards)])
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            path.name,
            command,
            result.exception,
        )
