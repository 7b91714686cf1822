"""Files put into a repository of the hub, by its own client, which alone knows the token.

The token comes from HF_TOKEN or `hf auth login`; nothing here reads, takes or writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sipo.common.errors import reason_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["model", "dataset"]
Content = Path | bytes
AT_ONCE_BYTES = 2 * 1024**3
AT_ONCE_FILES = 100
"""Of a commit. What an interrupted push has committed stays, and is not sent again."""
_URLS = {"model": "", "dataset": "datasets/"}


@dataclass(frozen=True)
class Outgoing:
    """A file for the hub; `sha256` where somebody has it already, so that it need not be read."""

    name: str  # in the repository
    content: Content
    sha256: str | None = None

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def is_same_as(self, there: Remote) -> bool:
        """Told by hashes: the hub has the sha256 of large files, git's own of small ones."""
        if there.size != self.size:
            return False
        if there.sha256 is not None:
            mine = self.sha256 or _hash(self.content, hashlib.sha256())
            return mine == there.sha256
        return _hash(self.content, hashlib.sha1(b"blob %d\0" % self.size)) == there.blob


@dataclass(frozen=True)
class Remote:
    size: int
    blob: str
    sha256: str | None


def require_hub(option: str) -> None:
    """Raises ValueError where nothing could be pushed: no network by HF_HUB_OFFLINE, no token."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise ValueError(f"{option} needs the hub, and HF_HUB_OFFLINE is set; unset it")
    if get_token() is None:
        raise ValueError(
            f"{option} needs a token of the hub that may write; run 'hf auth login' or set HF_TOKEN"
        )


def open_repository(name: str, kind: Kind, private: bool, option: str) -> str:
    """Made where it is not there; returns "owner/name".

    Raises ValueError where the hub refuses, and for one that is public where `private` was asked.
    """
    from huggingface_hub import HfApi

    require_hub(option)
    api = HfApi()
    with _refusals(option, name):
        made = api.create_repo(name, repo_type=kind, private=private or None, exist_ok=True)
        repository = str(made.repo_id)
        if private and not api.repo_info(repository, repo_type=kind).private:
            raise ValueError(
                f"{option} {name!r} is there already and public, and a private one was asked for; "
                "make it private on the hub, or give another name"
            )
    return repository


def files_there(repository: str, kind: Kind, option: str) -> dict[str, Remote]:
    """By their names."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    with _refusals(option, repository):
        found = HfApi().list_repo_tree(repository, recursive=True, repo_type=kind)
        return {
            one.path: Remote(one.size, one.blob_id, one.lfs.sha256 if one.lfs else None)
            for one in found
            if isinstance(one, RepoFile)
        }


def upload(
    repository: str,
    kind: Kind,
    files: Sequence[Outgoing],
    there: Mapping[str, Remote],
    option: str,
    say: Callable[[str], object],
) -> int:
    """Those that are not there as they are, in their order; returns how many were sent.

    Whole commits of at most AT_ONCE_BYTES or AT_ONCE_FILES. Asked again it sends what is missing.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    new = [one for one in files if one.name not in there or not one.is_same_as(there[one.name])]
    api: HfApi = HfApi()
    for part in _parts(new):
        operations = [
            CommitOperationAdd(
                one.name, one.content if isinstance(one.content, bytes) else str(one.content)
            )
            for one in part
        ]
        more = f" and {len(part) - 1} more" if len(part) > 1 else ""
        with _refusals(option, repository):
            api.create_commit(
                *(repository, operations),
                commit_message=f"Upload {part[0].name}{more} with sipo",
                repo_type=kind,
            )
        say(f"sent {part[0].name}{more}")
    return len(new)


def address(repository: str, kind: Kind) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{_URLS[kind]}{repository}"


def plan_lines(name: str, kind: Kind, private: bool, files: Sequence[Outgoing]) -> list[str]:
    """What --dry-run says: where it would go, who could see it, and each file with its bytes."""
    owner = "" if "/" in name else " of the account that the token is of"
    seen = "private" if private else "public, unless its owner makes new ones private"
    total = sum(one.size for one in files) / 1e6
    head = f"would push {len(files)} files, {total:.1f} MB, to the {kind} {name!r}{owner} ({seen})"
    return [f"{head}; nothing was sent", *(f"  {one.name}  {one.size}" for one in files)]


def _parts(files: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    part: list[Outgoing] = []
    size = 0
    for one in files:
        if part and (size + one.size > AT_ONCE_BYTES or len(part) == AT_ONCE_FILES):
            yield part
            part, size = [], 0
        part.append(one)
        size += one.size
    if part:
        yield part


def _hash(content: Content, digest: hashlib._Hash) -> str:
    if isinstance(content, bytes):
        digest.update(content)
        return digest.hexdigest()
    with content.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _refusals(option: str, name: str) -> Iterator[None]:
    """What the hub's client raises, as one sentence."""
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"{option} {name!r} is no name of the hub: {reason_of(error)}") from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        remedy = "log in with a token that may write there" if status in (401, 403) else "try again"
        raise ValueError(
            f"{option} {name!r}: the hub refuses ({status}: {reason_of(error)}); {remedy}, and the "
            "same command sends what is missing"
        ) from None
    except (httpx.HTTPError, OSError, RuntimeError) as error:  # what uploads raise
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise ValueError(
            f"{option} {name!r}: the hub was not reached ({type(cause).__name__}: "
            f"{reason_of(cause)}); the same command sends what is missing"
        ) from None
