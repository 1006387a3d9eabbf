"""The benchmark's figure: seconds of our way, the alternative and the floor for every row."""

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
    """Draw a line per comparison under the name of its work, and a panel per number of threads.

    Time is on a logarithmic axis.
    """
    lines = _lines(records)
    counts = sorted({int(str(r["threads"])) for r in records})
    plot, panels = plt.subplots(
        1, len(counts), figsize=(5.5 + 3.6 * len(counts), 1.4 + 0.235 * len(lines)), sharey=True,
        sharex=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for panel, count in zip(panels[0], counts, strict=True):
        shown = [r for r in records if r["threads"] == count]
        places = [lines.index(_line(r)) for r in shown]
        for key, label, mark, colour in MARKS:
            points = [(r[key], y) for r, y in zip(shown, places, strict=True) if r[key]]
            panel.plot(*zip(*points, strict=True), mark, color=colour, label=label, ms=6, mew=1.5)
        for r, y in zip(shown, places, strict=True):
            if r["ratio"]:
                latest = max(float(str(r["other_s"])), float(str(r["ours_s"])))
                aim = f" (aim {r['target']:g})" if r["target"] else ""
                panel.annotate(f"{r['ratio']:.3g}x{aim}", (latest, y), xytext=(6, 0),
                               textcoords="offset points", va="center", fontsize=7)  # fmt: skip
        panel.set(xscale="log", xlabel="median seconds per run", title=counted(count))
        panel.grid(axis="x", alpha=0.3)
        panel.margins(x=0.1)
    left, right = panels[0][0].get_xlim()
    panels[0][0].set_xlim(left, 30 * right)  # room for the rightmost ratios
    panels[0][0].set_yticks(range(len(lines)), [row or work for work, row in lines], fontsize=7.5)
    for name, (_, row) in zip(panels[0][0].get_yticklabels(), lines, strict=True):
        name.set_fontweight("normal" if row else "bold")
    panels[0][0].set_ylim(len(lines) - 0.4, -0.6)
    plot.suptitle(f"Time of the same work, side by side ({machine})")
    handles, labels = panels[0][0].get_legend_handles_labels()
    plot.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    plot.savefig(path, dpi=150)
    plt.close(plot)


def _lines(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return work and row of every line from the top; a heading has no row."""
    lines: list[tuple[str, str]] = []
    for work in dict.fromkeys(str(r["work"]) for r in records):
        lines.append((work, ""))
        lines += dict.fromkeys(_line(r) for r in records if r["work"] == work)
    return lines


def _line(record: Record) -> tuple[str, str]:
    return str(record["work"]), f"{record['shape']}: {record['alternative']}"
