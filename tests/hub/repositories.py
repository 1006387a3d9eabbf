"""Repositories of a hub: branches and tags that name commits, commits that name files."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Literal

Kind = Literal["model", "dataset"]

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
CONVERT = "refs/convert/"
ATTRIBUTES = b"".join(
    f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n".encode()
    for suffix in ("bin", "h5", "msgpack", "parquet", "pt", "safetensors")
)
LARGE_NAMES = ("*.bin", "*.h5", "*.msgpack", "*.parquet", "*.pt", "*.safetensors")
LARGE_SIZE = 1_000_000  # bytes, from which on a file of any name is stored apart


def git_hash(kind: str, content: bytes) -> str:
    """The name git gives to an object: sha1 with a header, 40 hex digits."""
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


@dataclass(frozen=True)
class StoredFile:
    """The contents of one file: bytes, or a file on disk that must stay as it is."""

    content: bytes | Path
    size: int
    sha256: str
    large: bool

    @classmethod
    def of(cls, name: str, content: bytes | Path) -> "StoredFile":
        if isinstance(content, Path):
            size = content.stat().st_size
            with content.open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        else:
            size, sha256 = len(content), hashlib.sha256(content).hexdigest()
        named = any(fnmatchcase(name.rsplit("/")[-1], pattern) for pattern in LARGE_NAMES)
        return cls(content, size, sha256, named or size >= LARGE_SIZE)

    @property
    def pointer(self) -> bytes:
        """What git holds in a large file's place."""
        version = "version https://git-lfs.github.com/spec/v1"
        return f"{version}\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @cached_property
    def blob_id(self) -> str:
        return git_hash("blob", self.pointer if self.large else self.read())

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(frozen=True)
class Commit:
    """One state of a repository's files, and the commit before it."""

    id: str
    files: Mapping[str, StoredFile]
    title: str
    date: str
    parent: "Commit | None"

    @property
    def history(self) -> Iterator["Commit"]:
        """This commit and those before it, newest first."""
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parent

    @property
    def folders(self) -> dict[str, str]:
        """Folders of the tree with an object id each."""
        names = {"/".join(p.split("/")[:n]) for p in self.files for n in range(1, p.count("/") + 1)}
        return {name: git_hash("tree", f"{self.id} {name}".encode()) for name in sorted(names)}

    def last_change(self, path: str) -> "Commit":
        """The commit that gave a file or folder the contents it has here."""
        last = self
        for commit in self.history:
            if commit.below(path) != self.below(path):
                break
            last = commit
        return last

    def below(self, path: str) -> dict[str, str]:
        return {
            name: file.sha256
            for name, file in self.files.items()
            if name == path or name.startswith(f"{path}/")
        }


@dataclass
class Repository:
    """A model or dataset with its branches; born, as on the hub, with a commit on main."""

    name: str
    kind: Kind
    private: bool = False
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        self.first = self.commit({".gitattributes": ATTRIBUTES}, "main", "initial commit")

    def commit(
        self, files: Mapping[str, bytes | Path | None], branch: str, title: str, fresh: bool = False
    ) -> str:
        """Put files on a branch over those it has, or in their place; None deletes a file.

        A new branch begins at the first commit of the repository.
        """
        parent = self.commits.get(self.branches.get(branch, getattr(self, "first", "")))
        tree = {} if fresh or parent is None else dict(parent.files)
        for path, content in files.items():
            if content is None:
                del tree[path]
            else:
                tree[path] = StoredFile.of(path, content)
        date = f"{BEGINNING + timedelta(minutes=self.made):%Y-%m-%dT%H:%M:%S.000Z}"
        listing = "\n".join(f"{path} {tree[path].blob_id}" for path in sorted(tree))
        before = parent.id if parent else ""
        known = f"{self.kind} {self.name} {self.made} {before} {title}\n{listing}"
        id = git_hash("commit", known.encode())
        ordered = {path: tree[path] for path in sorted(tree)}
        self.commits[id] = Commit(id, ordered, title, date, parent)
        self.branches[branch] = id
        self.made += 1
        return id

    @property
    def created(self) -> str:
        return f"{BEGINNING:%Y-%m-%dT%H:%M:%S.000Z}"

    def find(self, revision: str) -> Commit | None:
        """The commit a branch, a tag or a whole commit id names."""
        id = self.branches.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(id)

    def vanish(self, id: str) -> None:
        """Lose a commit, as after a rewritten history: nothing names it or finds it any more."""
        del self.commits[id]
        for references in (self.branches, self.tags):
            for name in [name for name, target in references.items() if target == id]:
                del references[name]
