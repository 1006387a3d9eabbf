"""The benchmark's figure: ours, the other way and the floor of every row, in seconds."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from bench.table import Record, counted

MARKS = (
    ("other_s", "the alternative", "o", "tab:orange"),
    ("ours_s", "tending", "o", "tab:blue"),
    ("floor_s", "floor of this machine", "|", "black"),
)


def draw(records: Sequence[Record], machine: str, path: Path) -> None:
    """One panel per number of threads; time on a logarithmic axis."""
    counts = sorted({int(str(r["threads"])) for r in records})
    most = max(sum(r["threads"] == n for r in records) for n in counts)
    plot, panels = plt.subplots(
        1, len(counts), figsize=(5 + 4.2 * len(counts), 1.8 + 0.34 * most), sharey=True,
        sharex=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    names = list(dict.fromkeys(f"{r['work']}, {r['shape']}" for r in records))
    for panel, count in zip(panels[0], counts, strict=True):
        shown = [r for r in records if r["threads"] == count]
        places = [names.index(f"{r['work']}, {r['shape']}") for r in shown]
        for key, label, mark, colour in MARKS:
            points = [(r[key], y) for r, y in zip(shown, places, strict=True) if r[key]]
            panel.plot(*zip(*points, strict=True), mark, color=colour, label=label, ms=8, mew=1.5)
        for r, y in zip(shown, places, strict=True):
            if r["ratio"]:
                panel.annotate(f"{r['ratio']:.1f}x", (r["other_s"], y), xytext=(8, 0),
                               textcoords="offset points", va="center", fontsize=8)  # fmt: skip
        panel.set(xscale="log", xlabel="median seconds per run", title=counted(count))
        panel.grid(axis="x", alpha=0.3)
        panel.margins(x=0.12)
    panels[0][0].set_yticks(range(len(names)), names)
    panels[0][0].set_ylim(len(names) - 0.4, -0.6)
    plot.suptitle(f"Time of the same work, side by side ({machine})")
    handles, labels = panels[0][0].get_legend_handles_labels()
    plot.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    plot.savefig(path, dpi=120)
    plt.close(plot)
