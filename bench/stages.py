"""Time spent on a study: wall and CPU seconds and peak memory of its jobs, by stage.

Usage: python bench/stages.py results/embedded
"""

import sys
from pathlib import Path

import pandas as pd


def stages(study: Path) -> pd.DataFrame:
    """Tabulate by stage: jobs, total wall and CPU seconds, median and longest wall, peak MiB."""
    root = study / "benchmarks"
    rows = [
        {"stage": file.relative_to(root).parts[0], **pd.read_csv(file, sep="\t").iloc[0]}
        for file in sorted(root.rglob("*.tsv"))
    ]
    frame = (
        pd.DataFrame(rows)
        .apply(pd.to_numeric, errors="coerce")
        .assign(stage=[row["stage"] for row in rows])
    )
    return (
        frame.groupby("stage")
        .agg(
            jobs=("s", "size"),
            wall=("s", "sum"),
            cpu=("cpu_time", "sum"),
            median_wall=("s", "median"),
            longest=("s", "max"),
            peak_mib=("max_rss", "max"),
        )
        .sort_values("cpu", ascending=False)
        .round(2)
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python bench/stages.py results/STUDY")
    print(stages(Path(sys.argv[1])).to_string())
