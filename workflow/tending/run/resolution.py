"""Resolve the revisions of a study on the hub, once: commits, files, hashes."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tending.checkpoints import hub as source
from tending.core import plugins
from tending.core.aliases import Model
from tending.core.steps import Spec, expand, nearest, nothing_of
from tending.hub import client, downloads, pins
from tending.hub.client import HubError
from tending.hub.pins import File, Pins, Revision

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

AT_ONCE = 4  # concurrent requests; the hub limits their rate
KEPT = re.compile(
    r"config\.json|tokenizer\.json|(model|pytorch_model)([-.].*)?\.(safetensors|bin)(\.index\.json)?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")

Asked = Mapping[str, Spec]
Table = dict[int, tuple[str, str]]  # step -> (revision, commit)


def resolve(
    models: Sequence[Model],
    asked: Asked,
    before: Mapping[str, Pins],
    progress: Callable[[], object] = lambda: None,
    save: Callable[[str, Pins], object] = lambda name, pins: None,
) -> dict[str, Pins]:
    """Return the pins of every model: those of `before` unchanged, and the steps that they lack.

    asked: the requested steps of every model, by its name. A pinned step stays at its commit; a
    warning reports if the revision has moved on the hub since. save(name, pins) is called when a
    model is done. Raises HubError with one list of everything that does not exist.
    """
    tables = {model["name"]: _table(model) for model in models}
    wanted = {n: expand(asked[n], sorted(table)) for n, table in tables.items()}
    problems = [p for m in models for p in _missing(m, asked[m["name"]], wanted, tables)]
    if problems:
        raise HubError("\n".join(["steps that are not on the hub:", *problems]))
    found = {}
    for model in models:
        name = model["name"]
        found[name] = _resolved(model, tables[name], wanted[name], before.get(name), progress)
        save(name, found[name])
    return found


def _missing(
    model: Model, spec: Spec, wanted: Mapping[str, list[int]], tables: Mapping[str, Table]
) -> Iterator[str]:
    """Yield steps of a model that its repository lacks, each with the nearest that it has."""
    name, existing = model["name"], sorted(tables[model["name"]])
    if not wanted[name]:
        yield f"{name}: {nothing_of(spec, existing)} ({model['repository']})"
    for step in wanted[name]:
        if step not in tables[name]:
            absent = f"{_absent(model, step)} does not exist in {model['repository']}"
            yield f"{name}: {absent}; {nearest(step, existing)}"


def _absent(model: Model, step: int) -> str:
    """Describe a step that is not on the hub, with its revision's name in the config, if any."""
    naming = model.get("revision")
    names = {int(key): name for key, name in naming.items()} if isinstance(naming, Mapping) else {}
    return f"the revision {names[step]!r} of step {step}" if step in names else f"step {step}"


def _table(model: Model) -> Table:
    """Map step -> (revision, commit) for all steps among the repository's branches and tags."""
    repository = model["repository"]
    listed = client.patiently(
        lambda: client.api().list_repo_refs(repository), f"{repository}, its refs"
    )
    # a branch takes precedence over a tag of the same name
    commits = {ref.name: ref.target_commit for ref in [*listed.tags, *listed.branches]}
    try:
        names = source.by_step(model, list(commits))
    except ValueError as error:
        raise HubError(f"{model['name']}: {repository}: {error}") from None
    table = {
        step: (name, commits.get(name) or name)
        for step, name in names.items()
        if name in commits or _COMMIT.fullmatch(name)
    }
    if not table:
        shown = ", ".join(sorted(commits)[:8]) + (", ..." if len(commits) > 8 else "")
        raise HubError(
            f"{model['name']}: no revision of {repository} matches "
            f"{model.get('revision', 'step{step}')!r}; it has {len(commits)}: {shown} (see "
            f"`revision` of the model)"
        )
    return table


def _resolved(
    model: Model,
    table: Table,
    steps: list[int],
    before: Pins | None,
    progress: Callable[[], object],
) -> Pins:
    repository = model["repository"]
    kept = {s: r for s, r in before.revisions.items() if r.commit} if before else {}
    for step, revision in kept.items():
        name, commit = table.get(step, (revision.name, "nothing"))
        if commit != revision.commit:
            logging.warning(
                "%s: %s of %s was pinned at %s and is now at %s; the study keeps the former "
                "(delete step %d in its pin file to use the latter)",
                *(model["name"], name, repository, revision.commit[:10], commit[:10], step),
            )
    missing = [step for step in steps if step not in kept]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        fresh = pool.map(lambda step: _revision(repository, *table[step], progress), missing)
        revisions = {**kept, **dict(zip(missing, fresh, strict=True))}
    return Pins(
        repository=repository,
        naming=pins.naming(model),
        existing={step: name for step, (name, _) in table.items()},
        config=before.config if before and kept else _config(model, revisions[steps[-1]]),
        revisions=revisions,
        main=_main(repository),  # queried again, like `existing`: it moves when a suite grows
    )


def _revision(repository: str, name: str, commit: str, progress: Callable[[], object]) -> Revision:
    """Query one revision's files and hashes. Raises HubError if it holds no checkpoint."""
    what = f"{repository}, {name}"
    found = client.patiently(
        lambda: client.api().model_info(repository, revision=commit, files_metadata=True), what
    )
    revision = Revision(name, found.sha or commit, _files(found))
    if not revision.weights() or "config.json" not in revision.files:
        raise HubError(
            f"{what}: holds no checkpoint in Hugging Face format (config.json and safetensors or "
            f"pytorch_model.bin), only {', '.join(_names(found)[:8]) or 'nothing'}; leave its step "
            f"out or name another revision for it"
        )
    progress()
    return revision


def _main(repository: str) -> Revision | None:
    """Query the branch main, or None if it is no checkpoint: it only serves the comparison."""
    try:
        return _revision(repository, "main", "main", lambda: None)
    except HubError as error:
        logging.info("the branch main is left out of the comparison: %s", error)
        return None


def _files(found: "ModelInfo") -> dict[str, File]:
    siblings = [s for s in found.siblings or [] if KEPT.fullmatch(s.rfilename)]
    return {
        s.rfilename: File(
            s.size or 0, s.lfs.sha256 if s.lfs else "", "" if s.lfs else s.blob_id or ""
        )
        for s in siblings
    }


def _names(found: "ModelInfo") -> list[str]:
    return [sibling.rfilename for sibling in found.siblings or []]


def _config(model: Model, revision: Revision) -> dict[str, Any]:
    """Download a revision's config.json. Raises HubError if its model family is unknown."""
    repository = model["repository"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        downloads.download(repository, revision.commit, file.name, revision.files[file.name], file)
        config: dict[str, Any] = json.loads(file.read_text("utf-8"))
    try:
        plugins.require("tending.families", str(config.get("model_type")), "model family")
    except ValueError as error:
        raise HubError(f"{model['name']}: {repository}: {error}") from None
    return config
