"""AI-feedback preference data and SIPO training for text-to-image and text-to-video models."""

from __future__ import annotations

__version__ = "0.1.0"
