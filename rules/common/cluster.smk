# What jobs ask of a cluster, which of them share a job, and who else writes; no rules. A local run has no groups.

import os
import shutil
import subprocess
import time

CELL = "{experiment}_{sigma_y}"
BATCHES = {
    "simulate_data": ("simulate", ("quick", "laptop", "paper")),
    "search_baseline": (f"search_{CELL}", ("quick", "laptop")),
    "train_filter": (f"train_{CELL}", ("quick",)),
    "train_seed": (f"train_{CELL}", ("quick",)),
    "finetune_filter": (f"finetune_{CELL}", ("quick", "laptop")),
    "score_finetuning": (f"finetune_{CELL}", ("quick", "laptop")),
    "run_linear_gaussian": ("linear", ("quick", "laptop")),
    "run_linear_reference": ("linear", ("quick", "laptop")),
    "evaluate_baseline": (f"evaluate_{CELL}", ("quick", "laptop")),
    "evaluate_learned": (f"evaluate_{CELL}", ("quick", "laptop")),
    "evaluate_seed": (f"evaluate_{CELL}", ("quick", "laptop")),
    "evaluate_other_inflation": (f"evaluate_{CELL}", ("quick", "laptop")),
    "record_localization": (f"evaluate_{CELL}", ("quick", "laptop")),
    "list_weights": ("draw", ("quick", "laptop", "paper")),
}
"""Rules whose jobs share a job of a cluster, by which name, and the scales at which each would last seconds only."""


def growing(amount, fixed=False):
    """A resource of which a job that failed asks for more, up to three times, unless it is `fixed`: for want of it, the
    job may have failed.
    """

    def amount_at(wildcards, attempt):
        return amount if fixed else amount * min(attempt, 3)

    return amount_at


def batch_short_jobs(workflow):
    """Let short jobs share a job of the cluster: those of BATCHES, and whatever scores, draws and tabulates."""
    for each in workflow.rules:
        name, scales = BATCHES.get(each.name, (None, ()))
        if CONFIG.scale in scales:
            each.group = name
        elif Path(str(each.conda_env)).stem == "figures":
            each.group = "draw"


def jobs_in_queue(folder):
    """Ids and states of the user's SLURM jobs that a Snakemake in `folder` has submitted; none without SLURM."""
    if shutil.which("squeue") is None:
        return {}
    command = ["squeue", "--me", "--noheader", "--format=%A|%T|%k|%Z"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except subprocess.SubprocessError:
        return {}
    jobs = [line.split("|", 3) for line in listed.splitlines()]
    own = os.environ.get("SLURM_JOB_ID")
    return {i: state for i, state, said, at in jobs if said.startswith("rule_") and at == str(folder) and i != own}


def check_queue(folder):
    """Stop if jobs of another Snakemake in `folder`, killed or not, would write what this one is about to write."""
    jobs = jobs_in_queue(folder)
    while jobs and set(jobs.values()) == {"COMPLETING"}:
        time.sleep(1)
        jobs = jobs_in_queue(folder)
    if jobs:
        raise WorkflowError(
            f"Jobs of another Snakemake in this folder are in the queue of SLURM: {', '.join(jobs)}. Wait until they "
            f"end, and what they finish is kept; or end them with `scancel {' '.join(jobs)}`. Then start again."
        )
