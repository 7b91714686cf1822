"""Times and sizes as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """ "85 s", "12 min", "3.4 h"; "1,234 h" of very long ones."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def size(count: float) -> str:
    """Of bytes: "12.3 MB", "4.1 GB", "2.0 TB"."""
    for unit, least in (("TB", 1e12), ("GB", 1e9)):
        if count >= least:
            return f"{count / least:,.1f} {unit}"
    return f"{count / 1e6:.1f} MB"
