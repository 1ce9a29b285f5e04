"""YAML among the arguments of Snakemake that `make` passes on."""

import subprocess
import sys

import pytest

from mnmef.config.given import faults_of_arguments

BROKEN = {
    "tab.yaml": ("training:\n\tsteps: 3\n", "line 2"),
    "open.yaml": ("seed: 1\nlearned: [mnmef\n", "line 3"),
    "twice.yaml": ("seed: 1\nscale: quick\nseed: 2\n", "line 3"),
    "colon.yaml": ("seed: 1: 2\n", "line 1"),
    "list.yaml": ("- seed\n", "must be a mapping"),
    "object.yaml": ("seed: !!python/object/apply:os.system [ls]\n", "line 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_file_is_named_with_the_line(tmp_path, name):
    text, said = BROKEN[name]
    (tmp_path / name).write_text(text)
    (fault,) = faults_of_arguments(["figure_3", "--configfile", str(tmp_path / name), "--cores", "1"])
    assert name in fault
    assert said in fault


def test_a_config_file_that_is_not_there_or_no_text_is_named(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    files = [str(tmp_path / name) for name in ("binary.yaml", "absent.yaml")]
    assert [any(file in fault for fault in faults_of_arguments(["--configfile", *files])) for file in files] == [
        True
    ] * 2


@pytest.mark.parametrize("value", ["[lake.yaml", "{steps: 3", "a: b: c", "'quick"])
def test_a_value_that_is_no_yaml_is_named_with_its_key(value):
    (fault,) = faults_of_arguments(["--config", "seed=1", f"training={value}", "--cores", "2"])
    assert fault.startswith(f"--config training={value} is no YAML")


def test_right_arguments_have_no_faults_and_wrong_ones_end_with_status_1(root):
    assert not list(
        faults_of_arguments(["--config", "training={steps: 3}", "scale=quick", "--configfile", "config.yaml"])
    )
    command = [sys.executable, "-m", "mnmef.config.given", "--config", "training={steps: 3"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 1
    assert "--config training={steps: 3 is no YAML" in run.stderr
