"""The benchmark's table: aligned for the terminal, and as CSV."""

import csv
import math
import platform
from pathlib import Path

Record = dict[str, object]

# column of the record, head, format
SHOWN = (
    ("work", "work", "s"),
    ("shape", "shape", "s"),
    ("threads", "threads", "d"),
    ("ours_s", "ours s", ".3g"),
    ("other_s", "other s", ".3g"),
    ("ratio", "ratio", ".2f"),
    ("target", "target", "g"),
    ("floor_s", "floor s", ".3g"),
    ("times_floor", "x floor", ".2f"),
    ("times_solved_floor", "x solved", ".2f"),
    ("rate_share", "of rate", ".0%"),
    ("ours_mib", "ours MiB", ".0f"),
    ("other_mib", "other MiB", ".0f"),
    ("alternative", "other", "s"),
)


def text(records: list[Record]) -> str:
    """Format the table with aligned columns, followed by the notes."""
    cells = [[head for _, head, _ in SHOWN]]
    cells += [[shown(record[name], form) for name, _, form in SHOWN] for record in records]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [form != "s" for _, _, form in SHOWN]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    ]
    notes = dict.fromkeys(f"{r['work']}, {r['shape']}: {r['note']}" for r in records if r["note"])
    return "\n".join([machine(), rates(records), "", *lines, "", *notes]).rstrip()


def shown(value: object, form: str) -> str:
    """Format a cell; empty where there is no value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return format(value, form)


def rates(records: list[Record]) -> str:
    """Format the machine's rates, the median over rows for each precision and thread count."""
    found: dict[tuple[object, object], list[tuple[float, float]]] = {}
    for r in records:
        pair = float(str(r["gflops_machine"])), float(str(r["gbytes_machine"]))
        found.setdefault((r["precision"], r["threads"]), []).append(pair)
    parts = []
    for (precision, threads), pairs in found.items():
        products, copies = (sorted(column)[len(pairs) // 2] for column in zip(*pairs, strict=True))
        parts.append(f"{precision}, {counted(threads)}: {products:.0f} Gflop/s, {copies:.1f} GB/s")
    return "\n".join(parts)


def counted(threads: object) -> str:
    """Format a number of threads: `1 thread`, `2 threads`."""
    return f"{threads} thread" if threads == 1 else f"{threads} threads"


def machine() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write(records: list[Record], path: Path) -> None:
    """Write all columns as CSV; missing values are empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: "" if shown(v, "") == "" else v for k, v in r.items()} for r in records
        )
