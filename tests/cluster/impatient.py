"""Snakemake that asks SLURM every second how its jobs are; its executor waits ten seconds longer each time that none
has ended.
"""

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda _: 1, lambda *_: None)
main()
