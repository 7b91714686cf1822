"""The model hub, asked once and briefly, before a library asks it five times for each file.

The hub's client takes half a second to import: what is known without it is said without it.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from sipo.common.quiet_libraries import quiet

SECONDS = 3.0  # an answer may take
REACHED_S = 2.0  # a connection may take to be made
_answered: set[str] = set()
"""Repositories that the hub has told this process of: it is not asked again."""


def cached_unless_reachable(repository: str, what: str) -> Path | None:
    """None where the hub answers and has the repository; else the folder of it in the cache.

    Raises ValueError that says what is wrong: no such repository, no network, HF_HUB_OFFLINE.
    """
    from huggingface_hub import constants

    if repository in _answered and not is_offline():
        return None
    reason = "HF_HUB_OFFLINE is set" if is_offline() else unreachable(constants.ENDPOINT)
    if reason is None and (reason := _refusal(repository, what)) is None:
        return None
    try:
        if not cache_of(repository).is_dir():
            raise FileNotFoundError
        from huggingface_hub import snapshot_download

        with quiet("huggingface_hub"):
            return Path(snapshot_download(repository, local_files_only=True))
    except Exception:  # whatever it raises for what is not there
        raise ValueError(
            f"{what} is not in the hub's cache on this machine, and {reason}; download it where "
            "there is a network, and give its folder"
        ) from None


def is_offline() -> bool:
    """By HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def cache_of(repository: str) -> Path:
    """Where the hub's cache has a model, if it has it."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def unreachable(url: str) -> str | None:
    """Why no connection to the URL's host can be made; None where one can, or a proxy decides."""
    from urllib.request import getproxies

    address = urlsplit(url)
    if getproxies().keys() & {"all", address.scheme}:
        return None
    host = address.hostname or ""
    port = address.port or (80 if address.scheme == "http" else 443)
    failed: list[str] = [f"no connection in {REACHED_S:g} s"]

    def connect() -> None:
        try:
            socket.create_connection((host, port), REACHED_S).close()
            failed.clear()
        except OSError as error:
            failed[:] = [error.strerror or str(error)]

    asking = threading.Thread(target=connect, daemon=True)  # looking up a name knows no limit
    asking.start()
    asking.join(REACHED_S)
    return f"{host} cannot be reached: {failed[0]}" if failed else None


def _refusal(repository: str, what: str) -> str | None:
    """Why the hub cannot be asked. Raises ValueError where it answers that it has no such thing."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    try:
        HfApi().model_info(repository, timeout=SECONDS)
        _answered.add(repository)
    except (RepositoryNotFoundError, HFValidationError):
        raise ValueError(
            f"{what} is no repository of the model hub, or a private one; check its name, or log "
            "in with 'hf auth login'"
        ) from None
    except HfHubHTTPError as error:
        return f"the hub answers {getattr(error.response, 'status_code', error)}"
    except Exception as error:  # of the connection: the client's own, and not always the same
        return f"the hub cannot be reached ({type(error).__name__}: {str(error)[:80]})"
    return None


def card_of_model(repository: str) -> str | None:
    """The text of a model's card on the hub, which has answered this process before; else None."""
    if repository not in _answered:
        return None
    from huggingface_hub import hf_hub_download

    try:
        with quiet("huggingface_hub"):
            path = hf_hub_download(repository, "README.md", etag_timeout=SECONDS)
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except Exception:  # no such file, no network, a gate: then nobody says it
        return None
