"""Requests and answers, apart from sockets: ranges, errors, contents in pieces."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from faults import Part
from repositories import StoredFile

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
NONE: Mapping[str, str] = {}


class RefusedError(Exception):
    """An answer that is an error, with the hub's own code and message."""

    def __init__(
        self, status: int, code: str | None, message: str, headers: Mapping[str, str] = NONE
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    @property
    def answer(self) -> "Answer":
        headers = {"X-Error-Message": self.message, **self.headers}
        if self.code:
            headers["X-Error-Code"] = self.code
        return Answer.json({"error": self.message}, headers, self.status)


@dataclass(frozen=True)
class Asked:
    """One request; `path` is as it was sent, quoted, because a revision may hold a slash."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Message
    form: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def over_the_wire(cls, method: str, target: str, headers: Message, body: bytes) -> "Asked":
        split = urlsplit(target)
        query = parse_qs(split.query, keep_blank_values=True)
        is_form = "urlencoded" in headers.get("Content-Type", "")
        return cls(method, split.path, query, headers, parse_qs(body.decode()) if is_form else {})

    @property
    def token(self) -> str | None:
        header = self.headers.get("Authorization")
        return str(header).removeprefix("Bearer ") if header else None

    def flag(self, name: str) -> bool:
        given = {**self.query, **self.form}.get(name, ["false"])
        return given[0].lower() in ("true", "1")


@dataclass(frozen=True)
class Answer:
    """What to send: contents are bytes, or a part of a file on disk."""

    status: int
    headers: Mapping[str, str]
    content: bytes | Path
    part: Part

    @classmethod
    def of(cls, content: bytes, headers: Mapping[str, str] = NONE, status: int = 200) -> "Answer":
        return cls(status, headers, content, Part(0, len(content), len(content)))

    @classmethod
    def json(cls, content: Any, headers: Mapping[str, str] = NONE, status: int = 200) -> "Answer":
        kind = {"Content-Type": "application/json; charset=utf-8"}
        return cls.of(json.dumps(content).encode(), {**kind, **headers}, status)

    @classmethod
    def file(cls, file: StoredFile, asked: Asked, headers: Mapping[str, str]) -> "Answer":
        """A file's contents, or the one range of them that was asked for."""
        known = {**headers, "Accept-Ranges": "bytes"}
        unchanged = asked.headers.get("If-Range", headers["ETag"]) == headers["ETag"]
        found = RANGE.fullmatch(asked.headers.get("Range", "")) if unchanged else None
        if found is None or not any(found.groups()):
            return cls(200, known, file.content, Part(0, file.size, file.size))
        first, last = found.groups()
        start = int(first) if first else max(0, file.size - int(last))
        stop = min(file.size, int(last) + 1) if first and last else file.size
        if start >= stop:
            whole = {"Content-Range": f"bytes */{file.size}"}
            raise RefusedError(416, None, "Range Not Satisfiable", whole)
        known["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
        return cls(206, known, file.content, Part(start, stop, file.size))

    def pieces(self, size: int) -> Iterator[tuple[int, bytes]]:
        """The contents piece by piece, each with its place in the file."""
        if isinstance(self.content, bytes):
            for at in range(self.part.start, self.part.stop, size):
                yield at, self.content[at : min(at + size, self.part.stop)]
            return
        with self.content.open("rb") as opened:
            opened.seek(self.part.start)
            for at in range(self.part.start, self.part.stop, size):
                yield at, opened.read(min(size, self.part.stop - at))
