"""Do jobs of the workflow in processes forked from this one, whose imports are done: they take longer than a small job.

A request is a line of JSON, of a job that `capture` kept or of arguments for Snakemake. The answers are the id of the
process and, once it has ended, its exit status, its seconds and what it printed.
"""

import gc
import importlib
import json
import os
import resource
import runpy
import sys
import time
import traceback
from pathlib import Path
from typing import Any

IMPORTS = (
    *("mnmef.evaluation.baseline", "mnmef.evaluation.learned", "mnmef.learning.fitting", "mnmef.learning.selection"),
    *("mnmef.report.figures.curves", "mnmef.scores.scoring", "mnmef.search.search", "netCDF4", "snakemake.cli"),
)
"""What jobs and rules import."""


def do(request: dict[str, Any]) -> None:
    """Do a job, with files of at most `limit` bytes and with a clock that goes back a day at each third look."""
    if "snakemake" in request:
        from snakemake.cli import main

        sys.argv[1:] = request["snakemake"]
        main(request["snakemake"])
    if request.get("limit") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"],) * 2)
    if request.get("clock"):
        looks, now = iter(range(10**9)), time.time
        time.time = lambda: now() - 86400 * (next(looks) // 3)
    runpy.run_path(request["job"], run_name="__main__")


def main() -> None:
    """Serve requests until there are no more."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    for name in IMPORTS:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        request, (reading, writing), begun = json.loads(line), os.pipe(), time.monotonic()
        child = os.fork()
        if child == 0:
            os.setsid()  # what it starts can be killed with it
            for file, number in ((os.open(os.devnull, os.O_RDONLY), 0), (writing, 1), (writing, 2)):
                os.dup2(file, number)
            status = 1
            try:
                os.chdir(request["folder"])
                do(request)
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        os.close(writing)
        print(child, flush=True)
        with os.fdopen(reading, errors="replace") as pipe:
            said = pipe.read()  # to the end of the last process that it started
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([status, time.monotonic() - begun, said]), flush=True)


if __name__ == "__main__":
    main()
