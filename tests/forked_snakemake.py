"""Run Snakemake in processes that are forked from this one, whose imports are done: they take longer than a dry run.

A request is a line of JSON; the answer is the exit status.
"""

import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path

from snakemake.cli import main

# What the rules import, but for mnmef, of which a test may have edited a copy.
for name in ("jinja2", "mistune", "nbformat.v4", "pydantic", "smart_open", "snakemake.report", "xarray"):
    importlib.import_module(name)
gc.freeze()

for request in sys.stdin:
    child = os.fork()
    if child == 0:
        folder, arguments, output, seconds, environment = json.loads(request)
        signal.alarm(seconds)
        with Path(output).open("wb") as file, Path(os.devnull).open("rb") as nothing:
            for stream, number in ((nothing, 0), (file, 1), (file, 2)):
                os.dup2(stream.fileno(), number)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.path[0], sys.argv[1:] = folder, arguments
        main(arguments)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
