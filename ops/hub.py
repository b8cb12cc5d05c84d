"""Hugging Face's hub: what a repository holds, and its files. The one module that talks to it.

Rules
1. The token (HF_TOKEN, or the file that `hf auth login` writes) goes to the hub and nowhere else:
   the hub's own client leaves it out where it is sent on to a file server.
2. A download goes on where it was broken off. The hub's client does that within a call only, so
   here the call begins with what is there.
3. What goes wrong is said in a line, with the page or the variable that mends it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import PrerequisiteMissing
from ops.errors import HubFailed

#: The hub gives no larger file by plain HTTP; checkpoints are cut in pieces of five to fifty.
MAX_FILE_BYTES = 50_000_000_000
LIST_DEADLINE_S = 60.0
MAX_CAUSE_CHARS = 200


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository; large ones have a SHA-256, all have git's digest."""

    name: str
    size_bytes: int
    git_sha1: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit."""

    source: str
    revision: str
    files: tuple[HubFile, ...]


class Hub:
    """The hub that HF_ENDPOINT names, or Hugging Face's own."""

    def __init__(self) -> None:
        _prepare()
        from huggingface_hub import HfApi, constants

        self._page = os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
        self._api = HfApi(endpoint=self._page)
        if constants.is_offline_mode():
            raise HubFailed("HF_HUB_OFFLINE is set here: unset it, to pull is to download")

    def look(self, source: str, revision: str | None = None) -> Repository:
        """The files at a commit, or at the newest. Raises HubFailed."""
        with self._explained(source):
            info = self._api.model_info(
                source, revision=revision, files_metadata=True, timeout=LIST_DEADLINE_S
            )
        if not info.sha:
            raise HubFailed(f"{source}: the hub names no commit of it: try again later")
        return Repository(source, info.sha, tuple(map(_file, info.siblings or ())))

    def fetch(
        self, repository: Repository, file: HubFile, target: str, tell: Callable[[int], None]
    ) -> None:
        """Brings a file, or the rest of it, to a path. Raises HubFailed, and the disk's OSError."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils._headers import build_hf_headers

        if file.size_bytes > MAX_FILE_BYTES:
            size = f"{file.size_bytes:,} bytes"
            raise HubFailed(
                f"{repository.source}: {file.name} has {size}, and the hub gives files of up to "
                f"{MAX_FILE_BYTES:,} this way: download it with `hf download`, then "
                "`flotilla models seal` the folder"
            )
        url = hf_hub_url(
            repository.source, file.name, revision=repository.revision, endpoint=self._page
        )
        with self._explained(repository.source), Growing(target, file.size_bytes, tell) as growing:
            http_get(
                url,
                growing,  # type: ignore[arg-type]  # what of a file is used, it has
                resume_size=growing.tell(),
                headers=build_hf_headers(),
                expected_size=file.size_bytes,
            )

    @contextmanager
    def _explained(self, source: str) -> Iterator[None]:
        import httpx2
        from huggingface_hub import errors

        try:
            yield
        except errors.HfHubHTTPError as error:
            raise HubFailed(f"{source}: {self._refusal(source, error)}") from error
        except errors.HFValidationError as error:
            raise HubFailed(f"{source} is no name of a repository: organisation/name") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            cause = _line(str(error)) or type(error).__name__
            raise HubFailed(
                f"{source}: {self._page} gives no answer ({cause}): is this machine on the "
                "Internet (HTTPS_PROXY)? What has come is kept, run it again"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise HubFailed(f"{source}: the hub's answer cannot be read: {_line(error)}") from error
        except OSError as error:
            # The client's own complaint of a file that ended early has no number.
            if error.errno is not None or isinstance(error, InterruptedError):
                raise
            raise HubFailed(
                f"{source}: {_line(error)}: what has come is kept, run it again"
            ) from error

    def _refusal(self, source: str, error: Any) -> str:
        from huggingface_hub import errors, get_token

        status = error.response.status_code
        code = error.response.headers.get("X-Error-Code", "")
        page = f"{self._page}/{source}"
        if isinstance(error, errors.GatedRepoError) or code == "GatedRepo":
            token = "the account of HF_TOKEN" if get_token() else "your account, with HF_TOKEN set,"
            return f"it is gated: accept its terms on {page}; {token} must be the one that did"
        if "Invalid credentials" in error.response.headers.get("X-Error-Message", ""):
            return "the hub does not know this token: make a new one, and set HF_TOKEN to it"
        if isinstance(error, errors.RevisionNotFoundError):
            return "it does not have this commit any more: remove the draft beside it, pull again"
        if status in (401, 404) and not get_token():
            return f"there is no {page} for the public: check the name, or set HF_TOKEN"
        if status in (401, 403, 404):
            return f"there is no {page} for this token: check the name, and what HF_TOKEN may read"
        if status == 429:
            return "the hub wants fewer requests: wait some minutes, or set HF_TOKEN, and go on"
        return f"the hub answered {status}: what has come is kept, run it again"


class Growing:
    """A file that a download adds to, and that tells of it."""

    def __init__(self, path: str, most_bytes: int, tell: Callable[[int], None]) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by `__exit__`
        self._tell = tell
        if self._file.seek(0, os.SEEK_END) > most_bytes:
            self._file.truncate(0)
        tell(self.tell())

    def __enter__(self) -> "Growing":
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            os.fsync(self._file.fileno())
        self._file.close()

    def tell(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    def seek(self, at: int) -> int:
        """Only ever back to the start, when a server sends all of a file again."""
        self._tell(at - self.tell())
        self._file.truncate(at)
        return at

    def truncate(self) -> None:
        """`seek` has done it."""

    def write(self, chunk: bytes) -> int:
        at = 0
        while at < len(chunk):
            at += self._file.write(chunk[at:])
        self._tell(len(chunk))
        return len(chunk)


def _prepare() -> None:
    """Its own bars and warnings would come between ours."""
    try:
        from huggingface_hub.utils import logging
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as missing:
        raise PrerequisiteMissing(
            "no huggingface_hub here: it comes with Flotilla's installs for GPU and CPU, "
            "`ops/install/install.sh` makes one"
        ) from missing
    disable_progress_bars()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it is not typed


def _file(sibling: Any) -> HubFile:
    size = sibling.size if isinstance(sibling.size, int) else -1
    return HubFile(
        str(sibling.rfilename),
        size,
        str(sibling.blob_id or ""),
        str(sibling.lfs.sha256) if sibling.lfs else None,
    )


def _line(said: object) -> str:
    return " ".join(str(said).split())[:MAX_CAUSE_CHARS]
