"""What can go wrong on the way: faults for the next requests that match."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Event


class BrokenError(Exception):
    """The answer ends here and the connection with it; `reset` says how."""

    def __init__(self, reset: bool) -> None:
        super().__init__()
        self.reset = reset


@dataclass(frozen=True)
class Status:
    """Answer with an error: 429 or 503 with seconds to wait, 500, 401, 404, ...

    `retry_after` is said in Retry-After; `reset_in` in RateLimit, as the hub's own limits do.
    """

    code: int
    retry_after: int | None = None
    reset_in: int | None = None
    error_code: str | None = None
    message: str = "an error that a test asked for"

    @property
    def headers(self) -> dict[str, str]:
        said = {}
        if self.retry_after is not None:
            said["Retry-After"] = str(self.retry_after)
        if self.reset_in is not None:
            said["RateLimit"] = f'"api";r=0;t={self.reset_in}'
            said["RateLimit-Policy"] = '"fixed window";"api";q=500;w=300'
        return said


@dataclass(frozen=True)
class Part:
    """The bytes from `start` up to `stop` of a file of `size` bytes."""

    start: int
    stop: int
    size: int

    @property
    def length(self) -> int:
        return self.stop - self.start


class BodyFault:
    """A fault of an answer that carries contents (200 or 206, never a redirect).

    `length` is what the answer announces; `spoil` changes the contents sent, which come in pieces,
    each with its place in the whole file.
    """

    piece = 1 << 16

    def length(self, part: Part) -> int:
        return part.length

    def spoil(self, pieces: Iterable[tuple[int, bytes]], part: Part) -> Iterator[bytes]:
        for _, piece in pieces:
            yield piece


@dataclass(frozen=True)
class Cut(BodyFault):
    """Close the connection after some bytes of the answer; `reset` tears it instead.

    A closed connection is a RemoteProtocolError to the client, a torn one a ReadError.
    """

    after: int
    reset: bool = False

    def spoil(self, pieces: Iterable[tuple[int, bytes]], part: Part) -> Iterator[bytes]:
        left = self.after
        for _, piece in pieces:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                break
        raise BrokenError(self.reset)


@dataclass(frozen=True)
class WrongBytes(BodyFault):
    """The right length, with one byte of the file changed: the middle one, or that `at`."""

    at: int | None = None

    def spoil(self, pieces: Iterable[tuple[int, bytes]], part: Part) -> Iterator[bytes]:
        at = part.size // 2 if self.at is None else self.at
        for start, piece in pieces:
            changed = bytearray(piece)
            if start <= at < start + len(piece):
                changed[at - start] ^= 0xFF
            yield bytes(changed)


@dataclass(frozen=True)
class WrongLength(BodyFault):
    """An answer that is announced and sent `by` bytes longer, or shorter, than the file is."""

    by: int

    def length(self, part: Part) -> int:
        return part.length + self.by

    def spoil(self, pieces: Iterable[tuple[int, bytes]], part: Part) -> Iterator[bytes]:
        left = part.length + self.by
        for _, piece in pieces:
            yield piece[:left]
            left -= len(piece[:left])
        yield b"\0" * left


@dataclass(frozen=True)
class Trickle(BodyFault):
    """Contents at so many bytes a second, so that a client can be killed half-way."""

    bytes_per_second: float
    pause: float = 0.02

    @property
    def piece(self) -> int:  # type: ignore[override]
        return max(1, round(self.bytes_per_second * self.pause))

    def spoil(self, pieces: Iterable[tuple[int, bytes]], part: Part) -> Iterator[bytes]:
        clock = Event()
        for _, piece in pieces:
            clock.wait(len(piece) / self.bytes_per_second)
            yield piece


Fault = Status | BodyFault


@dataclass
class Rule:
    """A fault, the requests it is for, and how many of them are left."""

    pattern: str
    fault: Fault
    left: float
    method: str | None

    def fits(self, method: str, path: str) -> bool:
        wanted = self.method is None or self.method == method
        return self.left > 0 and wanted and fnmatchcase(path, self.pattern)
