"""Snakemake, which asks SLURM every second what has ended.

The plugin asks the more seldom the longer nothing ends, by ten seconds each time: right for a
cluster, and too slow for a test. Nothing else is changed.
"""

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda _: 1, lambda _, value: None)

if __name__ == "__main__":
    main()
