"""A hub on loopback, for tests: it speaks to huggingface_hub as huggingface.co does.

    with Hub() as hub:
        hub.add("org/model")
        commit = hub.commit("org/model", {"config.json": b"{}"}, branch="step1000")
        hub.fail("*/model.safetensors", Cut(after=1000))
        ... HfApi(endpoint=hub.endpoint), or a subprocess with hub.environment(home) ...
        assert hub.sent("*/model.safetensors") == 0

It has two addresses, its own and a storage's for large files, as huggingface.co has a CDN: the
client follows redirects to the same address and takes the metadata from their end, but stops at
another one, and leaves the token behind.

What it does not speak: xet (xet=True only announces it, with nothing behind), compressed answers,
conditional requests other than If-Range, several ranges in one request, abbreviated commit ids,
pull requests, uploads, searches, spaces, buckets, pages for people, and rate limits of its own.
Gating is by repository, the same for every file. Links to the storage carry no real signature and
expire only on expire_links().
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any

from faults import Fault, Rule, Status
from protocol import Protocol
from repositories import Kind, Repository
from wire import Request, Server


class Hub:
    """Repositories, faults, a log of requests, and the two servers."""

    def __init__(self, xet: bool = False) -> None:
        self.repositories: dict[tuple[Kind, str], Repository] = {}
        self.tokens: dict[str, set[str]] = {}
        self.protocol = Protocol(self.repositories, self.tokens, xet=xet)
        self.requests: list[Request] = []
        self.rules: list[Rule] = []
        self.lock = Lock()
        self.servers: list[Server] = []
        self.ports = [0, 0]

    @property
    def endpoint(self) -> str:
        """What to give as HF_ENDPOINT, or as `endpoint`."""
        return self.protocol.endpoint

    def __enter__(self) -> "Hub":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Answer, at the same addresses as before if the hub was stopped."""
        answers = (self.protocol.answer, self.protocol.stored)
        for port, answer in zip(self.ports, answers, strict=True):
            self.servers.append(Server(self, answer, port))
        self.ports = [server.server_port for server in self.servers]
        at = [f"http://127.0.0.1:{port}" for port in self.ports]
        self.protocol.endpoint, self.protocol.storage = at

    def stop(self) -> None:
        """Answer no more: connections are refused, open ones are closed."""
        for server in self.servers:
            server.stop()
        self.servers.clear()

    def environment(self, home: Path) -> dict[str, str]:
        """The variables for a process that is to find this hub and no token, cache or proxy."""
        dropped = ("HF_", "HUGGING", "TRANSFORMERS_")
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(dropped)}
        kept = {k: v for k, v in kept.items() if not k.lower().endswith("_proxy")}
        # Telemetry asks the endpoint for a list of its own, which no test counts with.
        silent = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        return {**kept, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), **silent}

    # Contents

    def add(
        self, name: str, kind: Kind = "model", private: bool = False, gated: bool = False
    ) -> Repository:
        """A new repository with .gitattributes on main."""
        self.repositories[kind, name] = Repository(name, kind, private, gated)
        return self.repositories[kind, name]

    def repository(self, name: str) -> Repository:
        """A repository by its name, which only one kind may have here."""
        (found,) = (r for (_, known), r in self.repositories.items() if known == name)
        return found

    def commit(
        self,
        name: str,
        files: Mapping[str, bytes | Path | None],
        branch: str = "main",
        title: str = "Upload files",
        fresh: bool = False,
    ) -> str:
        """Put files on a branch, new or not, and give the commit's id (see Repository.commit)."""
        return self.repository(name).commit(files, branch, title, fresh)

    def tag(self, name: str, tag: str, commit: str) -> None:
        self.repository(name).tags[tag] = commit

    def move(self, name: str, branch: str, commit: str) -> None:
        """Let a branch name another commit; the one it named can still be asked for by id."""
        self.repository(name).branches[branch] = commit

    def delete(self, name: str, branch: str) -> None:
        del self.repository(name).branches[branch]

    def vanish(self, name: str, commit: str) -> None:
        """Lose a commit, and every branch and tag that names it."""
        self.repository(name).vanish(commit)

    def allow(self, token: str, *names: str) -> None:
        """Make a token valid, and let it read these gated or private repositories."""
        self.tokens.setdefault(token, set()).update(names)

    def expire_links(self) -> None:
        """Let every link to the storage given so far end in 403."""
        self.protocol.signature += "-later"

    # Faults and the log

    def fail(self, pattern: str, fault: Fault, times: float = 1, method: str | None = None) -> Rule:
        """Let the next requests whose path matches fail; `*` matches slashes too.

        A Status is for any request, a fault of contents for those that would get contents: so
        `*/model.safetensors` cuts the answer of the storage, not the redirect that leads there.
        """
        self.rules.append(Rule(pattern, fault, times, method))
        return self.rules[-1]

    def fault(self, kind: type[Any], method: str, path: str) -> Any:
        """The first fault of a kind for this request, used up by one."""
        with self.lock:
            for rule in self.rules:
                if isinstance(rule.fault, kind) and rule.fits(method, path):
                    rule.left -= 1
                    return rule.fault
        return None

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Fail if any request comes meanwhile; each is refused."""
        before = len(self.requests)
        rule = Rule("*", Status(403, message="a test allows no request here"), inf, None)
        self.rules.insert(0, rule)
        try:
            yield
        finally:
            self.rules.remove(rule)
            came = self.requests[before:]
            assert not came, f"requests came where none may: {came}"

    def asked(self, pattern: str, method: str | None = None) -> list[Request]:
        """The requests so far whose path matches."""
        return [
            request
            for request in list(self.requests)
            if fnmatchcase(request.path, pattern) and method in (None, request.method)
        ]

    def sent(self, pattern: str) -> int:
        """Bytes of contents sent so far from the paths that match."""
        return sum(r.sent for r in self.asked(pattern) if r.status in (200, 206))
