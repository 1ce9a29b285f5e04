"""Checksums of the files between stages, and jobs that check and record them."""

import hashlib
import re
import subprocess
from types import SimpleNamespace

import pytest

from mnmef.io import manifest
from mnmef.io.logs import job


@pytest.fixture
def recorded(tmp_path):
    """A file of 4096 bytes whose checksum is recorded."""
    path = tmp_path / "data" / "ks test.nc"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 16)
    manifest.record([path])
    return path


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("bit", [0, 12_345, 4096 * 8 - 1])
def test_each_flipped_bit_is_found_and_the_error_names_the_file_and_the_cure(recorded, bit):
    manifest.check(recorded)
    flip(recorded, bit)
    with pytest.raises(ValueError, match=f"^{re.escape(str(recorded))} is not as it was written.*Delete it and run"):
        manifest.check(recorded)
    flip(recorded, bit)
    manifest.check(recorded)


@pytest.mark.parametrize("size", [0, 1, 4095])
def test_each_truncation_is_found(recorded, size):
    recorded.write_bytes(recorded.read_bytes()[:size])
    with pytest.raises(ValueError, match="is not as it was written"):
        manifest.check(recorded)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0123  ks test.nc\n"])
def test_a_damaged_checksum_accuses_the_file_and_never_passes(recorded, content):
    recorded.with_name(".ks test.nc.sha256").write_bytes(content)
    with pytest.raises(ValueError, match="is not as it was written"):
        manifest.check(recorded)
    assert len(manifest.read(recorded.parent)) == 1


def test_a_file_without_checksum_is_taken_as_it_is_and_forgotten_ones_are_not_compared(recorded):
    flip(recorded, 7)
    manifest.forget([recorded])
    manifest.check(recorded)
    assert manifest.read(recorded.parent) == {}


def test_the_checksums_of_a_folder_are_those_of_sha256sum(recorded):
    (found,) = manifest.read(recorded.parents[1]).items()
    assert str(found[0]) == "data/ks test.nc"
    assert found[1] == hashlib.sha256(recorded.read_bytes()).hexdigest()
    command = ["sha256sum", "--check", "--strict", ".ks test.nc.sha256"]
    assert subprocess.run(command, cwd=recorded.parent, capture_output=True).returncode == 0


def test_a_job_checks_its_inputs_before_its_work_and_records_its_outputs_after(recorded, tmp_path):
    output = tmp_path / "scores.csv"
    given = SimpleNamespace(input=[str(recorded)], output=[str(output)], log=[str(tmp_path / "job.log")], threads=1)
    with job(given):
        output.write_text("a\n1\n")
    assert set(manifest.read(tmp_path)) == {output.relative_to(tmp_path), recorded.relative_to(tmp_path)}
    with pytest.raises(ZeroDivisionError), job(given):
        1 / 0  # noqa: B018
    assert set(manifest.read(tmp_path)) == {recorded.relative_to(tmp_path)}
    flip(recorded, 3)
    with pytest.raises(ValueError, match=r"ks test\.nc is not as it was written"), job(given):
        pytest.fail("the work began")


def test_each_script_of_the_workflow_is_such_a_job(root):
    scripts = [path for path in (root / "workflow_scripts").rglob("*.py") if path.name != "__init__.py"]
    assert scripts
    assert [str(path) for path in scripts if not re.search(r"^    with job\(snakemake\b", path.read_text(), re.M)] == []
