"""What is wrong with a source is counted by cause, as docs/importing.md says; the rest imports."""

from __future__ import annotations

import io
import json
import struct
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from click.testing import CliRunner
from sources import PX, encoded, listed, picture, row, sample, write_list, write_tar

from sipo.datagen.cli import main
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.untrusted_images import read_image
from sipo.datagen.imports.writer import import_pairs

TABLE = (Path(__file__).parents[2] / "docs" / "importing.md").read_text()


def causes(format_: str, source: Path, out: Path) -> dict[str, int]:
    """Of the rows dropped; `dropped.jsonl` names them."""
    settings = ImportSettings(format=format_, source=str(source), out=out, resolution=PX)
    imported = import_pairs(settings, progress=False).imported
    assert imported is not None
    found = imported.dropped
    named = [json.loads(line)["cause"] for line in (out / "dropped.jsonl").read_text().splitlines()]
    assert sorted(named) == sorted(cause for cause, n in found.items() for _ in range(n))
    for cause in found:
        assert f"| {cause} |" in TABLE, cause
    return found


def bomb() -> bytes:
    """A PNG of 60 bytes whose header says 30000 x 30000."""
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        png += struct.pack(">I", len(data)) + kind + data + checksum
    return png


PICTURES = {
    "damaged picture": picture(0, "JPEG", (64, 64))[:-300],
    "empty picture": b"",
    "not a JPEG, PNG or WebP": b"GIF89a" + bytes(50),
    "picture has too many pixels": bomb(),
    "picture is a strip, more than 32 times as long as wide": picture(0, size=(99, 2)),
    "winner and loser are the same file": picture(1),
}
ROWS: dict[str, dict[str, Any]] = {
    "missing picture": {"winner": "nowhere.png"},
    "path leads out of the folder": {"winner": "../../../../../../etc/passwd"},
    "tie": {"margin": 0},
    "margin is no number from 0 to 1": {"margin": "much"},
    "empty prompt": {"prompt": "  "},
    "prompt is not UTF-8": {"prompt": "\udcff"},
    "missing prompt": {"prompt": None},
}


def test_pictures(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 2)
    for i, data in enumerate(PICTURES.values()):
        (source / f"bad{i}.png").write_bytes(data)
    bad = [row(0, winner=f"bad{i}.png") for i in range(len(PICTURES))]
    write_list(source, [row(0), *bad, row(1)])
    assert causes("folder", source, tmp_path / "out") == dict.fromkeys(PICTURES, 1)


def test_rows(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 2)
    write_list(source, [row(0), *(row(0, **changed) for changed in ROWS.values())])
    with (source / "pairs.jsonl").open("ab") as file:
        file.write(b"[1]\n{not json}\n" + json.dumps(row(1)).encode().replace(b"cat", b"c\xe4t"))
    expected = dict.fromkeys(ROWS, 1) | {"prompt is not UTF-8": 2, "not a JSON object": 2}
    assert causes("folder", source, tmp_path / "out") == expected


def test_rows_that_lack_a_field_cost_no_other_row(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 2)
    write_list(source, [row(0), {"prompt": "a cat"}, {}, {**row(1), "prompt": None}, row(1)])
    assert causes("folder", source, tmp_path / "out") == {"missing picture": 2, "missing prompt": 1}
    pair = {"prompt": "a cat", "path1": "w0.png", "path2": "l0.png"}
    (source / "train.json").write_text(json.dumps([7, pair, {"prompt": "a cat"}, None]))
    found = causes("hpdv3", source / "train.json", tmp_path / "hpdv3")
    assert found == {"not a JSON object": 2, "missing picture": 1}
    pair = {"prompt": "a cat", "file_path": ["w0.png", "l0.png"], "human_preference": [1, 0]}
    (source / "train.json").write_text(json.dumps([pair, {"file_path": ["w0.png"]}, []]))
    found = causes("hpdv2", source / "train.json", tmp_path / "hpdv2")
    assert found == {"not a JSON object": 1, "missing picture": 1}


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_list(name: str, tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    csv = "prompt,winner,loser\na cat,w0.png,l0.png\n"
    text = csv if name == "pairs.csv" else json.dumps(row(0))
    (source / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert causes("folder", source / name, tmp_path / "out") == {}


@pytest.mark.parametrize("name", ["/etc/passwd", "a\x00b", "x" * 5000, 7])
def test_paths_nobody_should_write(name: Any, tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    write_list(source, [row(0), row(0, loser=name)])
    assert causes("folder", source, tmp_path / "out").keys() <= {
        "missing picture",
        "path leads out of the folder",
    }


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    (tmp_path / "secret.png").write_bytes(picture(9))
    (source / "link.png").symlink_to(tmp_path / "secret.png")
    write_list(source, [row(0), row(0, loser="link.png")])
    cause = "link leads out of the folder, see --follow-links"
    assert causes("folder", source, tmp_path / "out") == {cause: 1}


@pytest.mark.parametrize("beyond", [-512, 0, 100, 512, 600])
def test_a_truncated_tar_gives_its_whole_samples(beyond: int, tmp_path: Path) -> None:
    """Cut about a member of its second sample; between members tarfile says nothing."""
    tar = write_tar(tmp_path / "source" / "0.tar", {str(i): sample(i) for i in range(4)})
    with tarfile.open(tar) as file:
        offset = file.getmember("1.jpg_1.jpg").offset
    tar.write_bytes(tar.read_bytes()[: offset + beyond])
    assert causes("webdataset", tmp_path / "source", tmp_path / "out") == {"truncated tar": 1}


def test_samples_of_tars(tmp_path: Path) -> None:
    source = tmp_path / "source"
    whole = sample(0)
    unlabelled = {name: data for name, data in sample(1).items() if name != "label_1.txt"}
    foreign = {"jpg": picture(1), "txt": b"a cat", "json": b"{}"}
    samples = {"0": whole, "1": unlabelled, "2": foreign, "3": sample(3, label=0.5)}
    samples |= {"../4": sample(4), "5": whole | {"label_0.txt": b"yes"}}
    tar = write_tar(source / "0.tar", samples)
    with tarfile.open(tar, "a") as file:
        link = tarfile.TarInfo("6.jpg_0.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    (source / "1.tar").write_bytes(b"no tar at all" * 100)
    assert causes("webdataset", source, tmp_path / "out") == {
        "missing label": 1,
        "sample of another kind": 1,
        "tie": 1,
        "path leads out of the folder": 1,
        "label is no number from 0 to 1": 1,
        "member is no file": 1,
        "not a tar": 1,
    }


def test_a_source_without_a_pair_is_refused(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "0.tar", {"0": {"jpg": picture(0), "txt": b"a cat"}})
    with pytest.raises(ValueError, match="gave no pair as webdataset: 1 sample of another kind"):
        causes("webdataset", tar, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rumour", "{source}"], "format 'rumour' is unknown"),
        (["folder", "nowhere"], "source 'nowhere' does not exist"),
        (["webdataset", "{source}"], "holds no *.tar"),
        (["folder", "{source}", "--resolution", "20"], "give 16 or 24"),
        (["folder", "{source}", "--frames", "3"], "--frames was given without --fps"),
        (["folder", "{source}", "--images", "none"], "--images 'none' is no folder"),
        (["folder", "{source}/names.csv"], "lacks winner, loser; it has prompt, chosen; rename"),
        (["folder", "{source}/names.csv", "--images", "."], "a quote that is not closed"),
        (["hpdv2", "{source}/pairs.jsonl"], "is no JSON list of objects"),
        (["hf", "nowhere"], "neither a folder nor a dataset like 'owner/name'"),
    ],
)
def test_what_is_refused(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    unclosed = 'prompt,winner,loser\n"a cat,w0.png' + "x" * 140_000
    text = unclosed if "--images" in arguments else "prompt,chosen\na cat,w0.png\n"
    (source / "names.csv").write_text(text)
    if not arguments[1].endswith(".csv"):
        (source / "names.csv").unlink()
    given = [argument.format(source=source) for argument in arguments]
    result = CliRunner().invoke(main, ["import", *given, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    last = result.output.splitlines()[-1]
    assert last.startswith("Error: ")
    assert sentence in last
    assert not (tmp_path / "out").exists()


def _pixel(image: Image.Image, kind: str, **given: Any) -> tuple[int, ...]:
    """The pixel in the corner after importing."""
    found = read_image(encoded(image, kind, **given), (PX, PX))
    assert (found.mode, found.size) == ("RGB", (PX, PX))
    pixel = found.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return tuple(int(value) for value in pixel)


def test_images_of_every_mode_become_rgb() -> None:
    size = (PX, PX)
    assert _pixel(Image.new("RGBA", size, (255, 0, 0, 0)), "PNG") == (255, 255, 255)
    assert _pixel(Image.new("LA", size, (0, 255)), "PNG") == (0, 0, 0)
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    assert _pixel(palette, "PNG") == (0, 0, 255)
    assert _pixel(palette, "PNG", transparency=1) == (255, 255, 255)
    red, green, blue = _pixel(Image.new("CMYK", size, (0, 255, 255, 0)), "JPEG")
    assert red > 240
    assert max(green, blue) < 20
    assert _pixel(Image.new("I;16", size, 128 * 256), "PNG") == (128, 128, 128)
    assert _pixel(Image.new("1", size, 1), "PNG") == (255, 255, 255)


def test_exif_turns_and_the_middle_is_kept() -> None:
    image = Image.new("RGB", (2 * PX, PX), "blue")
    image.paste("red", (0, 0, PX, PX))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter: left comes to the top
    turned = read_image(encoded(image, "PNG", exif=exif), (PX, PX))
    assert turned.getpixel((PX - 1, 0)) == (255, 0, 0)
    assert turned.getpixel((0, PX - 1)) == (0, 0, 255)
    buffer = io.BytesIO(encoded(Image.new("RGB", (300, 100), "red"), "WEBP", lossless=True))
    assert read_image(buffer.getvalue(), (PX, PX)).size == (PX, PX)
