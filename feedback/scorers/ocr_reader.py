"""Lines of text in an image, read by RapidOCR with the PP-OCR models inside its package.

Nothing is downloaded. Runs on the CPU by onnxruntime. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.feedback.rule.boxes import Box

if TYPE_CHECKING:
    from PIL import Image

LIBRARIES = ("rapidocr", "onnxruntime")
_PARTS = {"Det": "*_det_*.onnx", "Rec": "*_rec_*.onnx"}
"""What finds lines and what reads them. A third, which turns lines that stand on their heads, is
left out: text that is upside down is not what was asked for (as in Flow-GRPO, `cls=False`)."""


def require_ocr() -> None:
    """Raises ValueError where the libraries are not installed."""
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        raise ValueError(f"judge 'ocr' needs {' and '.join(missing)}; pip install 'sipo[ocr]'")


class RapidReader:
    """`least`: how sure a line must be, in [0, 1]. Raises ValueError without the library."""

    def __init__(self, least: float) -> None:
        require_ocr()
        from rapidocr import RapidOCR

        models = _models()
        params: dict[str, object] = {f"{part}.model_path": str(p) for part, p in models.items()}
        quiet = {"Global.use_cls": False, "Global.log_level": "error"}
        self._read = RapidOCR(params=params | quiet | {"Global.text_score": least})
        self._description: dict[str, object] = {
            "weights_sha256": _sha256(list(models.values())),
            "library": f"rapidocr {version('rapidocr')}",
            "least": least,
        }

    def describe(self) -> dict[str, object]:
        return self._description

    def lines(self, image: Image.Image) -> list[Box]:
        """From top to bottom; upright boxes in the image's own pixels."""
        found = self._read(image.convert("RGB"))
        if found.txts is None:
            return []
        return [
            Box(text, float(score), _upright(corners.tolist()))
            for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True)
            if text.strip()
        ]


def _upright(corners: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _models() -> dict[str, Path]:
    spec = find_spec("rapidocr")
    assert spec is not None, "require_ocr has found it"
    assert spec.origin is not None, "it is no namespace"
    folder = Path(spec.origin).parent / "models"
    found = {part: sorted(folder.glob(pattern)) for part, pattern in _PARTS.items()}
    for part, files in found.items():
        if len(files) != 1:
            raise ValueError(
                f"{folder} has {len(files)} models {_PARTS[part]} where rapidocr brings one; "
                "install rapidocr again"
            )
    return {part: files[0] for part, files in found.items()}


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
