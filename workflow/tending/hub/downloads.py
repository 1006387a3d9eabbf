"""Downloads of single files from the hub: resumed where they stopped, verified by hash."""

import hashlib
import logging
from pathlib import Path

from tending.core import provenance
from tending.core.aliases import Progress
from tending.hub import client
from tending.hub.pins import File

logger = logging.getLogger("tending")


def download(
    repository: str,
    commit: str,
    name: str,
    expected: File,
    target: Path,
    progress: Progress = lambda _: None,
) -> None:
    """Download one file of a model repository at a commit, verified by its size and hash.

    A file in the local cache of huggingface_hub is linked, not fetched. Otherwise it is downloaded
    beside `target`, under a name made from its hash, resuming where an earlier attempt stopped,
    even one of a killed process, and is renamed once its hash is right. progress(bytes) is called
    with the number of bytes received. Raises client.HubError.
    """
    what = f"{repository} at {commit[:10]}, {name}"
    if target.exists() and matches(target, expected):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    cached = _cached(repository, commit, name)
    if cached is not None and matches(cached, expected):
        logger.info("%s: from the local cache", what)
        target.unlink(missing_ok=True)
        target.symlink_to(cached.resolve())
        return
    partial = target.parent / f".{(expected.sha256 or expected.blob)[:16]}.partial"
    for _ in range(2):  # a file resumed several times may be wrong where a fresh copy is not
        _get(repository, commit, name, expected.size, partial, progress)
        if matches(partial, expected):
            partial.replace(target)
            return
        logger.info("%s: the bytes differ from those that the hub lists; downloading again", what)
        partial.unlink()
    raise client.HubError(
        f"{what}: the bytes received differ from those that the hub lists (sha256 "
        f"{expected.sha256 or expected.blob}), twice; something between here and the hub changes "
        f"them: try another network, or run again later"
    )


def _cached(repository: str, commit: str, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name, revision=commit)
    return Path(found) if isinstance(found, str) else None


def _get(
    repository: str, commit: str, name: str, size: int, partial: Path, progress: Progress
) -> None:
    """Fetch the rest of `partial`, starting over as long as each series of retries adds to it."""
    had, what = _size(partial), f"{repository} at {commit[:10]}, {name}"
    while True:
        try:
            return client.patiently(
                lambda: _grow(repository, commit, name, size, partial, progress), what
            )
        except client.HubError:
            before, had = had, _size(partial)
            if had <= before:
                raise


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _grow(
    repository: str, commit: str, name: str, size: int, partial: Path, progress: Progress
) -> None:
    """Fetch the rest of a file of `size` bytes into `partial`, in one attempt.

    The client's own download does the same, but with its own timing of retries, and it loses up to
    the last 10 MiB when a connection breaks.
    """
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
    )

    if _size(partial) > size:
        partial.unlink()
    url = hf_hub_url(repository, name, revision=commit, endpoint=client.endpoint())
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    with partial.open("ab") as file:
        if file.tell() == size:
            return
        if file.tell():
            headers["Range"] = f"bytes={file.tell()}-"
        with get_session().stream("GET", url, headers=headers, timeout=client.TIMEOUT) as answer:
            hf_raise_for_status(answer)
            if file.tell() and answer.status_code == 200:  # the whole file despite the range
                file.seek(0)
                file.truncate()
            for piece in answer.iter_bytes():
                file.write(piece)
                progress(len(piece))
        if file.tell() != size:
            raise client.CutShortError(f"the hub sent {file.tell()} bytes, but lists {size}")


def matches(path: Path, expected: File) -> bool:
    """Whether a file has the size and the content hash that the hub lists."""
    if path.stat().st_size != expected.size:
        return False
    if expected.sha256:
        return provenance.file_sha256(path) == expected.sha256
    content = path.read_bytes()  # small: large files are in large-file storage
    named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return named.hexdigest() == expected.blob
