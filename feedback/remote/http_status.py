"""What the status of a reply means for a judge: try again, end, or fail the image."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus

_PASSES = {408, 425, 429}  # and all from 500 on
_KEY = "put its key into the environment variable that the setting key_env names"
_PLACE = "look at its URL, at the setting protocol and at the model's name"
_REMEDIES = {401: _KEY, 403: _KEY, 404: _PLACE, 405: _PLACE}


def passes(status: int) -> bool:
    """Whether another try may do."""
    return status in _PASSES or status >= 500


def remedy_of(status: int) -> str | None:
    """For what no image causes; None for any other."""
    if 300 <= status < 400:
        return "give the address that it points to"
    return _REMEDIES.get(status)


def named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which has those or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    with suppress(ValueError):
        return seconds if 0 <= (seconds := float(value)) < math.inf else None
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None
