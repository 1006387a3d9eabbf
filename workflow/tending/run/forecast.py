"""Forecast of a run's downloads, disk use and time, from the files that it would make.

Sizes of downloads are those in the pin file; sizes of results are those of existing files of the
same stage and model, or else follow from the shapes; times are those of finished jobs of the same
stage and model. Nothing else is estimated.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from statistics import mean

from tending import families
from tending.checkpoints import hub
from tending.core import paths
from tending.core.aliases import Config
from tending.hub.pins import Revision
from tending.stages.divergence.divergence_config import sequences as divergence_sequences

GB = 1e9
FROM_WEIGHTS = {"checkpoints", "spectra", "activations", "gradients", "reference", "divergence"}
STAGES = (  # folders of results, in the order of the work
    *("corpus", "training", "checkpoints", "batches", "spectra", "activations", "gradients"),
    *("reference", "divergence", "convergence", "representation", "trajectory", "between"),
    *("sample_size", "tables", "figures"),
)
REPORT = "report"  # for files in the study's folder itself

Job = tuple[str, str, str]  # stage, model or other name, and its output
Rows = Sequence[Sequence[str]]


def lines(config: Config, files: Sequence[str], live: int) -> Iterator[str]:
    """Yield the estimate as lines of text.

    files: outputs of the run, as paths of `tending.core.paths`; live: how many downloaded
    checkpoints may exist at a time.
    """
    jobs = to_do(files)
    if not jobs:
        yield f"The study {config['study']}: everything exists, a run would do nothing."
        return
    yield f"The study {config['study']}: {len(jobs):,} jobs to run."
    yield from _fetched(config, jobs, live)
    yield from _kept(config, jobs)
    yield from _stages(config, jobs)


def to_do(files: Sequence[str]) -> list[Job]:
    """List the jobs that make these files; one job makes both formats of a table or figure."""
    found = {}
    for file in files:
        inner = PurePosixPath(*PurePosixPath(file).parts[2:])  # below results/STUDY
        stage = inner.parts[0] if len(inner.parts) > 1 else REPORT
        if str(inner) == "corpus/tokenizer.json":
            continue  # of the job that makes the embedded corpus
        if stage == "training":
            inner = inner.parent  # one job makes all files of a model
        name = inner.parts[1] if len(inner.parts) > 2 else inner.with_suffix("").name
        name = inner.name if stage == "training" else name
        made = inner if stage == "training" else inner.with_suffix("")
        found[str(made)] = (stage, name, str(made))
    return list(found.values())


def weight_bytes(revision: Revision) -> int:
    """Return the bytes of a revision's weights in the one format that is fetched."""
    weights = revision.weights()
    chosen = [n for n in weights if n.endswith(".safetensors")] or list(weights)
    return sum(weights[name].size for name in chosen)


def downloads(config: Config, jobs: Sequence[Job]) -> dict[str, list[int]]:
    """Return the bytes of every checkpoint that would be fetched, by hub model."""
    needed: dict[str, set[int]] = defaultdict(set)
    for stage, model, made in jobs:
        if stage in FROM_WEIGHTS and "/step" in made:
            needed[model].add(int(made.rpartition("step")[2]))
    sizes = {}
    for model in config["models"]:
        if model["source"] == "hub" and needed[model["name"]]:
            pinned, study = hub.resolved(model, config["study"]), config["study"]
            steps = [s for s in sorted(needed[model["name"]]) if _absent(model, s, study)]
            sizes[model["name"]] = [weight_bytes(pinned.revisions[step]) for step in steps]
    return sizes


def _absent(model: Config, step: int, study: str) -> bool:
    return not hub.folder(model, step, study).exists()


def largest_live(sizes: Mapping[str, Sequence[int]], live: int) -> int:
    """Return the bytes of the `live` largest checkpoints: no run holds more at a time."""
    return sum(sorted((size for own in sizes.values() for size in own), reverse=True)[:live])


def _fetched(config: Config, jobs: Sequence[Job], live: int) -> Iterator[str]:
    sizes = {name: own for name, own in downloads(config, jobs).items() if own}
    if not sizes:
        yield "Nothing is fetched."
        return
    count, total = sum(map(len, sizes.values())), sum(map(sum, sizes.values()))
    unpinned = [m for m in config["models"] if m["name"] in sizes and _assumed(m, config)]
    about = ", estimated from the shapes" if unpinned else ""
    yield f"To fetch: {count:,} checkpoints, {total / GB:,.1f} GB{about}."
    yield ""
    rows = [
        (n, f"{len(own):,}", f"{max(own) / GB:.2f}", f"{sum(own) / GB:,.1f}")
        for n, own in sizes.items()
    ]
    yield from aligned([("model", "checkpoints", "GB each", "GB"), *rows])
    yield ""
    if config["keep_checkpoints"]:
        yield f"All of them are kept: {total / GB:,.1f} GB of disk (`keep_checkpoints`)."
    else:
        most = largest_live(sizes, live) / GB
        yield f"Largest live set: {most:,.1f} GB, the {live} largest checkpoints at one time."


def _assumed(model: Config, config: Config) -> bool:
    found = hub.known(model, config["study"])
    return found is not None and not found.pinned()


def _kept(config: Config, jobs: Sequence[Job]) -> Iterator[str]:
    """Yield the disk use of results, for the stages whose size can be estimated."""
    totals: Counter[str] = Counter()
    each: dict[tuple[str, str], float | None] = {}
    for stage, model, _ in jobs:
        if (stage, model) not in each:
            each[stage, model] = _size(config, stage, model)
        totals[stage] += int(each[stage, model] or 0)
    told = [f"{stage} {size / GB:,.2f}" for stage, size in totals.items() if size >= GB / 200]
    if told:
        whole = sum(totals.values()) / GB
        yield f"Results, as far as can be estimated: {whole:,.1f} GB ({', '.join(told)})."


def _size(config: Config, stage: str, model: str) -> float | None:
    """Estimate the bytes of one file of a stage from existing files or the shapes, or None."""
    root = Path(paths.STUDY.format(study=config["study"]))
    there = [f.stat().st_size for f in root.glob(f"{stage}/{model}/*.h5")] if model else []
    if there:
        return mean(there)
    shapes = _shapes(config, model)
    if shapes is None or not isinstance(config["extraction"]["position"], str | int):
        return None
    rows = int(config["corpus"]["sequences"])
    if stage == "activations":
        # ASSUME: float32; d values for the heads together, d for the layer and d for the MLP
        return 4.0 * rows * shapes.layers * 3 * shapes.d_model * len(config["definitions"])
    positions = config.get("divergence", {}).get("positions")
    if stage == "reference" and isinstance(positions, int):
        return 4.0 * divergence_sequences(config) * positions * shapes.vocabulary
    return None


def _shapes(config: Config, name: str) -> families.Architecture | None:
    """Return the sizes of a hub model; None for any other."""
    for model in config["models"]:
        if model["name"] == name and model["source"] == "hub":
            told = hub.resolved(model, config["study"]).config
            return families.family(str(told["model_type"])).architecture(told)
    return None


def _stages(config: Config, jobs: Sequence[Job]) -> Iterator[str]:
    """Yield a table of jobs by stage, with the time if such jobs have run before."""
    counts = Counter((stage, model) for stage, model, _ in jobs)
    stages = sorted({stage for stage, _ in counts}, key=_order)
    rows, total, unmeasured = [], 0.0, 0
    for stage in stages:
        own = {model: count for (of, model), count in counts.items() if of == stage}
        times = {model: seconds(config["study"], stage, model) for model in own}
        known = {model: time for model, time in times.items() if time is not None}
        whole = sum(time * own[model] for model, time in known.items())
        lacking = sum(count for model, count in own.items() if model not in known)
        total, unmeasured = total + whole, unmeasured + lacking
        rows.append((stage, f"{sum(own.values()):,}", _time(whole, lacking, sum(own.values()))))
    yield ""
    yield from aligned([("stage", "jobs", "time, one job at a time"), *rows])
    yield ""
    if unmeasured == len(jobs):
        yield "No time can be estimated yet: no job of this study has run."
    elif unmeasured:
        measured = len(jobs) - unmeasured
        yield f"Time: {duration(total)} for {measured:,} jobs; {unmeasured:,} not measured yet."
    else:
        yield f"Time: {duration(total)}, one job at a time, as such jobs took before."


def duration(seconds: float) -> str:
    """Format seconds for people: `40 s`, `12 min`, `5.3 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


def _time(seconds: float, lacking: int, count: int) -> str:
    if lacking == count:
        return "not measured yet"
    return duration(seconds) + (f" and {lacking:,} jobs not measured yet" if lacking else "")


def _order(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def seconds(study: str, stage: str, model: str) -> float | None:
    """Return the mean wall time of a stage's finished jobs on a model; None if there are none."""
    root = Path(paths.STUDY.format(study=study)) / "benchmarks"
    root = root if stage == REPORT else root / stage
    files = [root / f"{model}.tsv", *(root / model).glob("*.tsv")]
    times = []
    for file in files:
        if file.exists():
            with file.open(encoding="utf-8", newline="") as opened:
                times += [float(row["s"]) for row in csv.DictReader(opened, delimiter="\t")]
    return mean(times) if times else None


def aligned(rows: Rows) -> Iterator[str]:
    """Yield rows as lines: the first column left-aligned, numbers right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  " + "  ".join([first.ljust(widths[0]), *cells])
