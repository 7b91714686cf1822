"""Pictures that fit keep their bytes, without what is no pixel; each is stored once."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import webdataset
from PIL import Image, ImageCms, PngImagePlugin

sys.path.insert(0, str(Path(__file__).parent))

from click.testing import CliRunner
from sources import PX, encoded, listed, picture, row, write_list

from sipo.backbones.base import Backbone
from sipo.common.pictures import jpeg
from sipo.common.pictures.decode import decode
from sipo.datagen.cli import main
from sipo.datagen.encode import encode_folder
from sipo.datagen.export import pairs_of
from sipo.datagen.generation import pairs as pairing
from sipo.datagen.generation.rejudging import judge_folder, pair_folder
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.untrusted_images import read_image, to_keep
from sipo.datagen.imports.values import UnusableError
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.looking.review import ReviewSession
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge

SIZE = (PX, PX)
_SEEN = Image.open(io.BytesIO(picture(3)))
_CAMERA = Image.Exif()
_CAMERA[0x010F] = "a maker"
_TURNED = Image.Exif()
_TURNED[0x0112] = 6
_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_TEXTS = PngImagePlugin.PngInfo()
_TEXTS.add_text("parameters", "a secret prompt")
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="8"/></x:xmpmeta>'


def _jpeg(mode: str = "RGB", **given: Any) -> bytes:
    return encoded(_SEEN.convert(mode), "JPEG", **given)


def _with_preview(data: bytes) -> bytes:
    """A JFIF header that has a preview of one pixel."""
    return data[:4] + b"\0\x13" + data[6:18] + b"\1\1abc" + data[20:]


KEPT = {
    "jpeg": (_jpeg(), "jpg"),
    "progressive": (_jpeg(progressive=True, quality=95), "jpg"),
    "no chroma left out": (_jpeg(subsampling=0), "jpg"),
    "RGB and no YCbCr": (_jpeg(keep_rgb=True), "jpg"),
    "restarts": (_jpeg(restart_marker_blocks=1), "jpg"),
    "camera": (_jpeg(exif=_CAMERA), "jpg"),
    "comment": (_jpeg(comment=b"secret"), "jpg"),
    "profile": (_jpeg(icc_profile=_PROFILE), "jpg"),
    "preview": (_with_preview(_jpeg()), "jpg"),
    "something behind": (_jpeg() + b"a film of the phone", "jpg"),
    "png": (picture(3), "png"),
    "texts": (picture(3, pnginfo=_TEXTS), "png"),
    "gamma and profile": (picture(3, icc_profile=_PROFILE), "png"),
}
MADE = {
    "turned": _jpeg(exif=_TURNED),
    "turned by XMP": _jpeg(xmp=_XMP),
    "grey": _jpeg("L"),
    "CMYK": _jpeg("CMYK"),
    "another size": picture(3, "JPEG", (PX + 8, PX)),
    "webp": picture(3, "WEBP"),
    "turned PNG": picture(3, exif=_TURNED),
    "palette": encoded(_SEEN.convert("P")),
    "transparent": encoded(_SEEN.convert("RGBA")),
    "grey PNG": encoded(_SEEN.convert("L")),
    "a colour that is transparent": picture(3, transparency=(1, 2, 3)),
}


def pixels(data: bytes) -> bytes:
    return decode(data).tobytes()


@pytest.mark.parametrize("name", KEPT)
def test_bytes_are_kept(name: str) -> None:
    data, suffix = KEPT[name]
    kept = to_keep(data, SIZE)
    assert kept[0] == suffix
    assert kept[1] == to_keep(kept[1], SIZE)[1]
    assert len(kept[1]) <= len(data)
    assert pixels(kept[1]) == read_image(data, SIZE).tobytes()
    image = Image.open(io.BytesIO(kept[1]))
    image.load()
    assert image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"} | {
        "adobe",
        "adobe_transform",
        "progressive",
        "progression",
    }
    for secret in (b"secret", b"a maker", b"abc", b"a film", b"Exif", b"ICC", b"iCCP"):
        assert secret not in kept[1]


@pytest.mark.parametrize("name", ["jpeg", "progressive", "restarts", "png"])
def test_what_is_nothing_but_pixels_is_kept_byte_for_byte(name: str) -> None:
    data, _ = KEPT[name]
    assert to_keep(data, SIZE)[1] == data


@pytest.mark.parametrize("name", MADE)
def test_other_pictures_become_png(name: str) -> None:
    suffix, kept = to_keep(MADE[name], SIZE)
    assert suffix == "png"
    assert pixels(kept) == read_image(MADE[name], SIZE).tobytes()


@pytest.mark.parametrize("cut", [30, 200, 400])
def test_a_jpeg_that_ends_early_is_no_picture(cut: int) -> None:
    with pytest.raises(UnusableError, match="damaged picture"):
        to_keep(_jpeg()[:-cut], SIZE)


@pytest.mark.parametrize("cut", [1, 2])
def test_a_jpeg_without_its_last_marker_is_made_anew(cut: int) -> None:
    suffix, kept = to_keep(_jpeg()[:-cut], SIZE)
    assert suffix == "png"
    assert pixels(kept) == pixels(_jpeg())


@pytest.mark.parametrize(
    "rare",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        _jpeg()[:20] + b"\xff\xdc\0\4\0\1" + _jpeg()[20:],
        _jpeg()[:20] + b"no marker" + _jpeg()[20:],
        _jpeg()[:20] + b"\xff\xfe\xff\xff" + _jpeg()[20:],
        _jpeg()[:20] + b"\xff\xfe\0\1" + _jpeg()[20:],
    ],
)
def test_a_rare_jpeg_is_refused(rare: bytes) -> None:
    with pytest.raises(ValueError, match=r"marker|segment|frame"):
        jpeg.without_metadata(rare)


def imported(source: Path, out: Path, **given: Any) -> Path:
    small: dict[str, Any] = {"resolution": PX, "pairs_per_shard": 2} | given
    settings = ImportSettings(format="folder", source=str(source), out=out, **small)
    import_pairs(settings, progress=False)
    return out


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Five pairs; of every other the winner is a JPEG, of one a picture that is larger."""
    source = listed(tmp_path / "source", 5)
    for i in (0, 2, 4):
        (source / f"w{i}.png").write_bytes(picture(2 * i, "JPEG"))
    (source / "l1.png").write_bytes(picture(3, "JPEG", (PX, 2 * PX)))
    write_list(source, [row(i, margin=1 if i != 3 else 0.25) for i in range(5)])
    return source


def names_in(tar: Path) -> list[str]:
    import tarfile

    with tarfile.open(tar) as file:
        return file.getnames()


def test_a_mixed_folder_has_every_picture_once(mixed: Path, tmp_path: Path) -> None:
    out = imported(mixed, tmp_path / "out")
    assert names_in(out / "candidates-000000.tar") == [
        f"cand-{number:08d}.{field}"
        for number, suffix in enumerate(("jpg", "png", "png", "png"))
        for field in (suffix, "json")
    ]
    assert names_in(out / "pairs-000000.tar") == [f"pair-{i:08d}.json" for i in range(2)]
    assert list(find_damage(out)) == []
    for i, pair in enumerate(p for n in open_folder(out).numbers for p in pairs_of(folder(out), n)):
        for data, name in ((pair.winner, f"w{i}.png"), (pair.loser, f"l{i}.png")):
            expected = read_image((mixed / name).read_bytes(), SIZE)
            assert pixels(data) == expected.tobytes()


folder = open_folder


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves closing to the collector
def test_webdataset_streams_the_candidates_two_and_two(mixed: Path, tmp_path: Path) -> None:
    out = imported(mixed, tmp_path / "out")
    urls = sorted(map(str, out.glob("candidates-*.tar")))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert [sample["json"]["verdict"]["correct"] for sample in samples] == [True, False] * 5
    for sample in samples:
        [image] = [sample[suffix] for suffix in ("jpg", "png") if suffix in sample]
        assert image.size == SIZE


def test_every_command_copes_with_a_mixed_folder(
    mixed: Path, tmp_path: Path, tiny_backbone: Backbone
) -> None:
    out = imported(mixed, tmp_path / "out")
    result = CliRunner().invoke(main, ["inspect", str(out)])
    assert result.exit_code == 0, result.output
    page = (out / "contact.html").read_text()
    assert page.count('"src":"data:image/') == 10
    session = ReviewSession(out, "me")
    assert [session.content(0, item)[1] for item in (0, 1)] == ["image/jpeg", "image/png"]
    assert session.content(0, 0)[0] == picture(0, "JPEG")
    judge_folder(out, "fake", judge=FakeJudge(), out=tmp_path / "judged", progress=False)
    pair_folder(out, margin=0.5, out=tmp_path / "wide")
    assert len(list(pairs_of(folder(tmp_path / "wide"), 1))) == 1
    for path in (tmp_path / "judged", tmp_path / "wide"):
        assert list(find_damage(path)) == []
    encode_folder(out, backbone=tiny_backbone, batch_size=3, progress=False)
    assert list(find_damage(out)) == []
    pairs = PairDataset(out)
    expected = tiny_backbone.encode_images(_tensor(read_image(picture(0, "JPEG"), SIZE)))[0]
    assert (pairs[0].winner - expected).abs().max() < 1e-4
    assert names_in(out / "pairs-000000.tar")[:3] == [
        f"pair-00000000.{field}" for field in ("winner.npy", "loser.npy", "json")
    ]
    judge_folder(out, "fake", judge=FakeJudge(), out=tmp_path / "latents", progress=False)
    assert list(find_damage(tmp_path / "latents")) == []


def _tensor(image: Image.Image) -> Any:
    import numpy as np

    from sipo.common.pictures.tensors import to_tensor

    return to_tensor(np.array(image)[None])


def test_folders_of_before_are_read(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: Backbone
) -> None:
    """They have the pictures in both tars, all PNG, and go on to be made where they stopped."""
    now = imported(mixed, tmp_path / "now")
    with monkeypatch.context() as patch:
        patch.setattr(pairing, "_files", _files_of_before)
        old = imported(mixed, tmp_path / "old")
    assert names_in(old / "pairs-000000.tar")[0] == "pair-00000000.winner.jpg"
    assert list(find_damage(old)) == []
    for number in range(3):
        assert list(pairs_of(folder(old), number)) == list(pairs_of(folder(now), number))
    (old / "pairs-000002.json").unlink()
    imported(mixed, old)
    assert names_in(old / "pairs-000002.tar") == ["pair-00000004.json"]
    assert list(find_damage(old)) == []
    session = ReviewSession(old, "me")
    assert [session.content(task, 0)[0][:3] for task in (0, 4)] == [jpeg.BEGINNING] * 2
    encode_folder(old, backbone=tiny_backbone, progress=False)
    assert len(PairDataset(old)) == 5


def _files_of_before(folder: Any, pair: Any, path: Path, index: Any) -> dict[str, bytes]:
    from sipo.datagen.storage.pair_pictures import picture_in
    from sipo.datagen.storage.shard_tar import read_fields

    files = {}
    for role, judged in pair.sides.items():
        members = index.samples[judged.request.key].members
        suffix = picture_in(folder.config, members)
        files |= read_fields(path, {f"{role}.{suffix}": members[suffix]})
    return files


def test_a_pair_without_its_picture_is_named(mixed: Path, tmp_path: Path) -> None:
    out = imported(mixed, tmp_path / "out")
    index = json.loads((out / "pairs-000001.json").read_text())
    index["samples"]["pair-00000002"]["loser"] = "cand-00000099"
    (out / "pairs-000001.json").write_text(json.dumps(index))
    said = "pairs-000001.tar: the loser of pair-00000002 has no picture; see sipo-data validate"
    assert any(said in line for line in find_damage(out))
    with pytest.raises(ValueError, match=said):
        list(pairs_of(folder(out), 1))


def test_workers_make_the_same_bytes(mixed: Path, tmp_path: Path) -> None:
    one, three = (imported(mixed, tmp_path / str(n), workers=n) for n in (1, 3))
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {
        p.name: p.read_bytes() for p in three.iterdir()
    }


def test_rows_behind_the_limit_cannot_stop_an_import(tmp_path: Path) -> None:
    """They are read ahead; a source that breaks there was never asked for."""
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    source = tmp_path / "source"
    source.mkdir()
    rows = [
        {"prompt": "a cat", "chosen": picture(2 * i), "rejected": picture(2 * i + 1)}
        for i in range(40)
    ]
    table = pyarrow.Table.from_pylist(rows)
    parquet.write_table(table, source / "a.parquet", row_group_size=16, compression="none")
    data = bytearray((source / "a.parquet").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    (source / "a.parquet").write_bytes(data)
    given = {"format": "pickapic", "source": str(source), "resolution": PX, "pairs_per_shard": 2}
    with pytest.raises(ValueError, match=r"damaged|gave no pair"):
        import_pairs(
            ImportSettings(out=tmp_path / "all", **given, limit=None),  # type: ignore[arg-type]
            progress=False,
        )
    done = len(list((tmp_path / "all").glob("pairs-*.json")))
    summary = import_pairs(
        ImportSettings(out=tmp_path / "few", **given, limit=2 * done),  # type: ignore[arg-type]
        progress=False,
    )
    assert summary.pairs == 2 * done


def test_prompts_of_all_shards_are_taken_once_each(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the whole list for every shard, which a million pairs would feel."""
    out = imported(mixed, tmp_path / "out", pairs_per_shard=1)
    opened, taken = folder(out), 0

    class Counted(list[Any]):
        def __getitem__(self, key: Any) -> Any:
            nonlocal taken
            found = super().__getitem__(key)
            taken += len(found) if isinstance(key, slice) else 1
            return found

        def __iter__(self) -> Any:
            raise AssertionError("the whole list was gone through")

    opened.__dict__["prompts"] = Counted(opened.prompts)
    numbered = [row for number in opened.numbers for row in opened.prompts_of(number)]
    assert [number for number, _ in numbered] == list(range(5))
    assert taken == 5


def test_an_old_configuration_needs_no_workers(mixed: Path, tmp_path: Path) -> None:
    out = imported(mixed, tmp_path / "out", workers=2)
    assert "workers" not in FolderConfig.read(out).as_read()
    imported(mixed, out, workers=1)
