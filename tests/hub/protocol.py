"""The hub's protocol: what each address answers. It knows repositories, not sockets."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

import listings
from answers import Answer, Asked, RefusedError
from repositories import Commit, Kind, Repository, StoredFile

BAD_TOKEN = "Invalid credentials in Authorization header"
KINDS: dict[str, Kind] = {"models": "model", "datasets": "dataset"}
PAGES = {"tree": 1000, "expanded tree": 50, "commits": 50}  # entries on one page of a listing


@dataclass
class Protocol:
    """The answers of a hub, its two addresses given: its own, and that of the file storage."""

    repositories: dict[tuple[Kind, str], Repository]
    tokens: dict[str, set[str]]
    endpoint: str = ""
    storage: str = ""
    xet: bool = False
    signature: str = "first"
    page_sizes: dict[str, int] = field(default_factory=PAGES.copy)

    def answer(self, asked: Asked) -> Answer:
        """The hub's own addresses; raises RefusedError."""
        if asked.token is not None and asked.token not in self.tokens:
            raise RefusedError(401, None, BAD_TOKEN)
        parts = [unquote(part) for part in asked.path.strip("/").split("/")]
        match parts:
            case ["api", "whoami-v2"]:
                return self.whoami(asked)
            case ["api", "resolve-cache", kinds, owner, name, revision, *path]:
                repository = self.repository(asked, KINDS.get(kinds), f"{owner}/{name}")
                return self.resolve(asked, repository, revision, "/".join(path), cached=True)
            case ["api", kinds, owner, name, *rest] if kinds in KINDS:
                repository = self.repository(asked, KINDS[kinds], f"{owner}/{name}")
                return self.api(asked, repository, rest)
            case ["datasets", owner, name, "resolve", revision, *path]:
                repository = self.repository(asked, "dataset", f"{owner}/{name}")
                return self.resolve(asked, repository, revision, "/".join(path))
            case [owner, name, "resolve", revision, *path]:
                repository = self.repository(asked, "model", f"{owner}/{name}")
                return self.resolve(asked, repository, revision, "/".join(path))
        raise RefusedError(404, None, "Sorry, we can't find the page you are looking for.")

    def whoami(self, asked: Asked) -> Answer:
        if asked.token is None:
            raise RefusedError(401, None, "Invalid username or password.")
        token = {"displayName": "test", "role": "read"}
        return Answer.json({"type": "user", "name": "tester", "auth": {"accessToken": token}})

    def repository(self, asked: Asked, kind: Kind | None, name: str) -> Repository:
        found = self.repositories.get((kind, name)) if kind else None
        if found and (not found.private or name in self.tokens.get(asked.token or "", ())):
            return found
        if asked.token is None:  # the hub does not tell strangers what does not exist
            raise RefusedError(401, "RepoNotFound", "Invalid username or password.")
        raise RefusedError(404, "RepoNotFound", "Repository not found")

    def guard(self, asked: Asked, repository: Repository) -> None:
        """Listings of a gated repository are open, its files are not."""
        if not repository.gated or repository.name in self.tokens.get(asked.token or "", ()):
            return
        restricted = f"Access to {repository.kind} {repository.name} is restricted."
        if asked.token is None:
            raise RefusedError(401, "GatedRepo", f"{restricted} Please log in.")
        raise RefusedError(403, "GatedRepo", f"{restricted} You are not in the authorized list.")

    def commit(self, repository: Repository, revision: str) -> Commit:
        found = repository.find(revision)
        if found is None:
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    def api(self, asked: Asked, repository: Repository, rest: list[str]) -> Answer:
        """Addresses below /api/models/{repository} and /api/datasets/{repository}."""
        match rest:
            case []:
                return self.info(asked, repository, self.commit(repository, "main"))
            case ["revision", revision]:
                return self.info(asked, repository, self.commit(repository, revision))
            case ["refs"]:
                return Answer.json(listings.references(repository, asked.flag("include_prs")))
            case ["tree", revision, *path]:
                return self.tree(asked, self.commit(repository, revision), "/".join(path))
            case ["paths-info", revision] if asked.method == "POST":
                return self.paths_info(asked, self.commit(repository, revision))
            case ["commits", revision]:
                return self.commits(asked, self.commit(repository, revision))
            case ["auth-check"]:
                self.guard(asked, repository)
                return Answer.of(b"")
        raise RefusedError(404, None, "Sorry, we can't find the page you are looking for.")

    def info(self, asked: Asked, repository: Repository, commit: Commit) -> Answer:
        known = listings.information(repository, commit, asked.flag("blobs"))
        wanted = asked.query.get("expand")
        if wanted:
            known = {key: value for key, value in known.items() if key in ("id", *wanted)}
        return Answer.json(known)

    def tree(self, asked: Asked, commit: Commit, folder: str) -> Answer:
        below = f"{folder}/" if folder else ""
        if folder and folder not in commit.folders:
            message = f'{folder} does not exist on "{commit.id}"'
            raise RefusedError(404, "EntryNotFound", message)
        names = [n for n in (*commit.folders, *commit.files) if n.startswith(below)]
        if not asked.flag("recursive"):
            names = [n for n in names if "/" not in n.removeprefix(below)]
        expanded = asked.flag("expand")
        size = self.page_sizes["expanded tree" if expanded else "tree"]
        return self.page(asked, names, size, lambda n: listings.entry(commit, n, expanded))

    def paths_info(self, asked: Asked, commit: Commit) -> Answer:
        known = {**commit.folders, **commit.files}
        names = [name for name in asked.form.get("paths", []) if name in known]
        return Answer.json([listings.entry(commit, name, asked.flag("expand")) for name in names])

    def commits(self, asked: Asked, commit: Commit) -> Answer:
        formatted = "formatted" in asked.query.get("expand[]", [])
        size = self.page_sizes["commits"]
        return self.page(asked, list(commit.history), size, lambda c: listings.change(c, formatted))

    def page(
        self, asked: Asked, items: list[Any], size: int, tell: Callable[[Any], dict[str, Any]]
    ) -> Answer:
        """One page of a listing, with a Link to the next."""
        start = int(asked.query.get("cursor", ["0"])[0])
        headers = {"X-Total-Count": str(len(items))}
        if start + size < len(items):
            query = urlencode({**asked.query, "cursor": [str(start + size)]}, doseq=True)
            headers["Link"] = f'<{self.endpoint}{asked.path}?{query}>; rel="next"'
        return Answer.json([tell(item) for item in items[start : start + size]], headers)

    def resolve(
        self, asked: Asked, repository: Repository, revision: str, path: str, cached: bool = False
    ) -> Answer:
        """A small file, from its cache; a large one, by a redirect to the storage."""
        self.guard(asked, repository)
        commit = self.commit(repository, revision)
        named = {"X-Repo-Commit": commit.id}
        file = commit.files.get(path)
        if file is None:
            raise RefusedError(404, "EntryNotFound", "Entry not found", named)
        if file.large:
            return self.redirect(repository, commit, path, file)
        named["ETag"] = f'"{file.blob_id}"'
        if cached or repository.gated or repository.private or not file.size:
            kind = {"Content-Type": "text/plain; charset=utf-8"}
            return Answer.file(file, asked, named | kind)
        query = urlencode({asked.path: "", "etag": named.pop("ETag")})
        place = f"{repository.kind}s/{repository.name}/{commit.id}/{quote(path)}"
        to = f"/api/resolve-cache/{place}?{query}"
        return Answer.of(f"Temporary Redirect. {to}".encode(), {**named, "Location": to}, 307)

    def redirect(
        self, repository: Repository, commit: Commit, path: str, file: StoredFile
    ) -> Answer:
        kind = f"{repository.kind}s"
        query = urlencode({"name": path.rsplit("/")[-1], "Signature": self.signature})
        place = quote(f"/{kind}/{repository.name}/{commit.id}/{path}")
        headers = {
            "X-Repo-Commit": commit.id,
            "X-Linked-Etag": f'"{file.sha256}"',
            "X-Linked-Size": str(file.size),
            "ETag": f'"{file.sha256}"',
            "Accept-Ranges": "bytes",
            "Location": f"{self.storage}{place}?{query}",
        }
        if self.xet:
            token = f"{self.endpoint}/api/{kind}/{repository.name}/xet-read-token/{commit.id}"
            headers |= {"X-Xet-Hash": file.sha256, "Link": f'<{token}>; rel="xet-auth"'}
        return Answer.of(b"Found. Redirecting", headers, 302)

    def stored(self, asked: Asked) -> Answer:
        """The storage's addresses: signed, for anyone, and never with a token."""
        if asked.token is not None:
            raise RefusedError(400, None, "Only one auth mechanism allowed")
        if asked.query.get("Signature") != [self.signature]:
            raise RefusedError(403, None, "Access denied: the link has expired")
        kinds, owner, name, revision, *path = unquote(asked.path).strip("/").split("/")
        repository = self.repositories.get((KINDS[kinds], f"{owner}/{name}"))
        commit = repository.find(revision) if repository else None
        file = commit.files.get("/".join(path)) if commit else None
        if file is None:
            raise RefusedError(404, None, "NoSuchKey")
        headers = {
            "ETag": f'"{hashlib.md5(file.sha256.encode()).hexdigest()}"',
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'inline; filename="{path[-1]}";',
        }
        return Answer.file(file, asked, headers)
