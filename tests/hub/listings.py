"""What the hub tells about repositories, branches, commits and files, as JSON."""

from collections.abc import Iterable
from typing import Any

from repositories import CONVERT, Commit, Repository, StoredFile


def information(repository: Repository, commit: Commit, blobs: bool) -> dict[str, Any]:
    """A repository at a commit; with `blobs`, sizes and hashes of its files."""
    return {
        "id": repository.name,
        "author": repository.name.split("/")[0],
        "sha": commit.id,
        "lastModified": commit.date,
        "createdAt": repository.created,
        "private": repository.private,
        "gated": "auto" if repository.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "usedStorage": sum(file.size for file in commit.files.values()),
        "siblings": [sibling(path, file, blobs) for path, file in commit.files.items()],
    }


def sibling(path: str, file: StoredFile, blobs: bool) -> dict[str, Any]:
    """A file in a repository's information."""
    if not blobs:
        return {"rfilename": path}
    told: dict[str, Any] = {"rfilename": path, "blobId": file.blob_id, "size": file.size}
    if file.large:
        size = len(file.pointer)
        told["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": size}
    return told


def entry(commit: Commit, path: str, expanded: bool) -> dict[str, Any]:
    """A file or folder in a listing of the tree."""
    file = commit.files.get(path)
    if file is None:
        told: dict[str, Any] = {"type": "directory", "oid": commit.folders[path], "size": 0}
    else:
        told = {"type": "file", "oid": file.blob_id, "size": file.size}
        if file.large:
            size = len(file.pointer)
            told["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": size}
    told["path"] = path
    if expanded:
        last = commit.last_change(path)
        told["lastCommit"] = {"id": last.id, "title": last.title, "date": last.date}
    return told


def references(repository: Repository, pull_requests: bool) -> dict[str, Any]:
    """Branches and tags with their commits; converts are the branches below refs/convert/."""
    branches = repository.branches
    converts = [name for name in branches if name.startswith(CONVERT)]

    def listed(names: Iterable[str], place: str, cut: str = "") -> list[dict[str, str]]:
        target = repository.tags if place == "refs/tags/" else branches
        return [
            {"name": name.removeprefix(cut), "ref": place + name, "targetCommit": target[name]}
            for name in names
        ]

    found = {
        "tags": listed(repository.tags, "refs/tags/"),
        "branches": listed([name for name in branches if name not in converts], "refs/heads/"),
        "converts": listed(converts, "", CONVERT),
    }
    return {**found, "pullRequests": []} if pull_requests else found


def change(commit: Commit, formatted: bool) -> dict[str, Any]:
    """A commit in the list of them."""
    told: dict[str, Any] = {"id": commit.id, "title": commit.title, "message": ""}
    told |= {"authors": [{"user": "tester"}], "date": commit.date}
    if formatted:
        told["formatted"] = {"title": commit.title, "message": ""}
    return told
