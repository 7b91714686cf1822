"""Folders of shards by URL: what is made, read and refused there, in memory and by S3."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from data_commands import bytes_of, refused, run
from object_stores import put, s3_bucket

from sipo.backbones.base import Backbone
from sipo.common.files import url_leases, urls
from sipo.common.files.leases import Leases, Owner
from sipo.common.files.url_leases import UrlStore, has_leases
from sipo.common.files.urls import UrlPath, is_url, place_of
from sipo.common.files.writing import atomic
from sipo.datagen.api import open_pairs
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_guard import one_of_the_makers, only_writer
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.feedback.fake import FakeJudge


@pytest.fixture(scope="module", params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "memory":
        yield "memory://bucket"
        return
    with s3_bucket() as url:
        yield url


@pytest.fixture
def there(bucket: str, shards: Path, request: pytest.FixtureRequest) -> UrlPath:
    """The folder of shards by URL."""
    url = f"{bucket}/{request.node.originalname}/shards"
    put(shards, url)
    return remote(url)


def remote(url: str) -> UrlPath:
    path = place_of(url)
    assert isinstance(path, UrlPath)
    return path


def test_what_is_missing_is_made_with_the_same_bytes(
    settings: GenerateSettings, shards: Path, there: UrlPath, tiny_backbone: Backbone
) -> None:
    whole = bytes_of(shards)
    for name in whole:
        if "-000002" in name or name == "summary.json":
            (there / name).unlink()
    asked = GenerateSettings.model_validate(
        {**settings.model_dump(exclude_unset=True), "out": str(there)}
    )
    assert asked.out == there
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(there) == whole  # and no lease is left


def test_training_reads_samples_by_their_places(
    shards: Path, there: UrlPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, far = PairDataset(shards), open_pairs(f"{there}:0,1,2")
    monkeypatch.setattr(UrlPath, "read_bytes", None)  # nothing is read whole
    monkeypatch.setattr(UrlPath, "open", None)
    assert far.fingerprint() == here.fingerprint()
    for one, other in zip(here, far, strict=True):
        assert one.key == other.key
        assert torch.equal(one.winner, other.winner)
        assert torch.equal(one.loser, other.loser)
        assert one.conditioning.keys() == other.conditioning.keys()
        assert all(map(torch.equal, one.conditioning.values(), other.conditioning.values()))


def test_the_other_commands_take_it(shards: Path, there: UrlPath, tmp_path: Path) -> None:
    assert run("validate", there).exit_code == 0
    looked = run("inspect", there, "--out", tmp_path / "page.html")
    assert looked.exit_code == 0, looked.output
    changed = {}
    for folder in (shards, there):
        paired = run("pair", folder, "--margin", 0.6)
        assert paired.exit_code == 0, paired.output
        if there.scheme == "memory":  # each request to the server costs a while
            judged = run("judge", folder, "--judge", "fake", "--out", folder.parent / "judged")
            assert judged.exit_code == 0, judged.output
            changed[folder.parent] = bytes_of(folder.parent / "judged")
        changed[folder] = bytes_of(folder)
    assert changed[there] == changed[shards]
    assert changed.get(there.parent) == changed.get(shards.parent)
    (there / "pairs-000000.tar").upload(tmp_path / "page.html")
    damaged = run("validate", there)
    assert damaged.exit_code == 2
    assert f"{there}/pairs-000000.tar is truncated or changed" in damaged.output


@pytest.mark.parametrize("most", [1, 1 << 26])  # the first is a large file's way
def test_a_file_is_there_when_it_is_whole(
    bucket: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urls, "_IN_MEMORY", most)
    path = remote(f"{bucket}/whole-{most}/file")
    with pytest.raises(ZeroDivisionError), atomic(path) as file:
        file.write(bytes(1 // 0))
    assert not path.exists()
    with atomic(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_a_folder_has_one_writer_or_several_makers(bucket: str) -> None:
    folder = remote(f"{bucket}/written")
    assert has_leases(folder)
    refusal = pytest.raises(ValueError, match=r"another sipo-data is writing to .*/written")
    with only_writer(folder):
        for other in (only_writer, one_of_the_makers):
            with refusal, other(folder):
                pass
    with one_of_the_makers(folder), one_of_the_makers(folder):
        assert url_leases.is_written_to(folder)
        with refusal, only_writer(folder):
            pass
    assert not list(folder.iterdir())
    gone = Owner(Owner.this_process().machine, 2**22 + 1, "gone")
    for name in ("writer", "maker-gone"):
        assert Leases(UrlStore(folder), gone).claim(name)
    assert not url_leases.is_written_to(folder)
    with one_of_the_makers(folder):
        pass
    assert not list(folder.iterdir())


def test_without_conditional_puts_one_process_works_alone(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = remote(f"{bucket}/alone")
    monkeypatch.setattr(url_leases, "_known", {})
    monkeypatch.setattr(UrlStore, "create", lambda *_: True)  # of a server that heeds no condition
    with one_of_the_makers(folder):
        assert isinstance(url_leases.store_of(folder), url_leases._NoStore)
    assert "has no conditional put, so processes cannot share" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"cannot share .*; start one"), one_of_the_makers(folder):
        pass


def test_no_such_bucket_is_said(bucket: str) -> None:
    if bucket.startswith("s3"):
        asked = ("generate", "--judge", "fake", "--out", "s3://no-such-bucket/x")
        assert "there is no such bucket: 's3://no-such-bucket'" in refused(run(*asked))


@pytest.mark.parametrize(
    ("room", "words", "said"),
    [
        ("datagen", "generate --out nostore://b/x", "no store that fsspec knows"),
        ("datagen", "generate --out memory://", "names no folder of a store"),
        ("datagen", "generate --weights memory://b/x", "a URL cannot be given here"),
        ("datagen", "generate --backbone memory://b/x", "a URL cannot be given here"),
        ("datagen", "review memory://b/x", "a URL cannot be given here"),
        ("datagen", "merge memory://b/x memory://b/y --out z", "does not exist"),
        ("datagen", "export memory://b/x --out memory://b/y", "a URL cannot be given here"),
        ("datagen", "import folder memory://b/x --out y", "a URL cannot be given here"),
        ("datagen", "validate memory://b/nothing", "does not exist"),
        ("train", "--data memory://b/nothing", "does not exist"),
        ("train", "--data x --out memory://b/x", "a URL cannot be given here"),
        ("train", "plot memory://b/x", "a URL cannot be given here"),
        ("geneval", "--images memory://b/x", "a URL cannot be given here"),
        ("loop", "--out memory://b/x", "a URL cannot be given here"),
    ],
)
def test_what_takes_no_url_says_so_and_makes_no_folder(
    room: str, words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(import_module(f"sipo.{room}.cli").main, words.split())
    assert said in refused(result)
    assert not list(tmp_path.iterdir())


def test_the_operating_system_is_never_given_a_url() -> None:
    path = remote("memory://bucket/x")
    for act in (lambda: os.stat(path), lambda: path.rename(path), path.rmdir, path.touch):
        with pytest.raises(ValueError, match="memory://bucket/x is a URL, and this needs a folder"):
            act()
    with pytest.raises(ValueError, match="where files are written whole"):
        path.open("w")
    with pytest.raises(ValueError, match="hf://a/b can only be read"), atomic(UrlPath("hf://a/b")):
        pass


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("shards", "shards"),
        ("a:/b", "a:/b"),
        ("host:/b", "host:/b"),
        ("/s3/x", "/s3/x"),
        ("file:///tmp/x", "/tmp/x"),
        ("memory://a/b/", "memory://a/b"),
        ("memory:/a/b", "memory://a/b"),
        ("MEMORY://a/b", "memory://a/b"),
    ],
)
def test_which_text_is_which_path(text: str, path: str) -> None:
    found = place_of(text)
    assert str(found) == path
    assert isinstance(found, UrlPath) == path.startswith("memory")
    assert is_url(path) == isinstance(found, UrlPath)
    assert str(found / "x" / "y.json") == f"{path}/x/y.json"
    assert place_of(found) is found or not isinstance(found, UrlPath)


def test_what_the_store_says_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    path = remote("memory://bucket/x")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("Unable to locate credentials.\nMore")

    monkeypatch.setattr(path.filesystem, "info", fails)
    with pytest.raises(OSError, match=r"Unable to locate credentials \(RuntimeError\)") as said:
        path.exists()
    assert (said.value.errno, said.value.filename) == (errno.EIO, "memory://bucket/x")
