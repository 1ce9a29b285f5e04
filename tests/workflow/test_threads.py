"""The numerical libraries of a job use as many threads as its rule has."""

import json

RULES = """
rule ask:
    output: "{threads}.json"
    log: "{threads}.log"
    threads: lambda wildcards: int(wildcards.threads)
    script: "ask.py"
"""
ASK = """
import json, sys
sys.path.insert(0, {root!r})
import numpy, scipy.linalg, torch
import dapper
from threadpoolctl import threadpool_info
from mnmef.io.logs import job_log
with job_log(snakemake.log[0], snakemake.threads):
    pools = {{pool["user_api"] + " " + pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}}
    json.dump(pools | {{"torch": torch.get_num_threads()}}, open(snakemake.output[0], "w"))
"""


def test_blas_openmp_and_torch_have_the_threads_of_the_rule(root, tmp_path, snakemake, monkeypatch):
    (tmp_path / "Snakefile").write_text(RULES)
    (tmp_path / "ask.py").write_text(ASK.format(root=str(root)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run = snakemake(tmp_path, "1.json", "2.json", "--cores", "2")
    assert run.returncode == 0, run.stdout
    for threads in (1, 2):
        pools = json.loads((tmp_path / f"{threads}.json").read_text())
        assert any("blas" in name for name in pools)
        assert set(pools.values()) == {threads}, pools
