"""Files are whole or absent, and say what they are."""

import errno
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mnmef.io import files
from mnmef.io.files import provenance, read_dataset, write_atomically, write_dataset, write_table, write_text


@pytest.fixture
def dataset():
    values = np.random.default_rng(0).standard_normal((4, 5))
    return xr.Dataset({"truth": (("trajectory", "cycle"), values)}, attrs={"experiment": "lorenz96"})


def test_a_dataset_comes_back_with_its_provenance(tmp_path, dataset):
    path = tmp_path / "deep" / "data.nc"
    write_dataset(dataset, path, provenance=provenance("data", {"cycles": 5}, seed=3))
    back = read_dataset(path, kind="data", experiment="lorenz96")
    xr.testing.assert_equal(back, dataset)
    assert back.attrs["seed"] == "3"
    assert {"commit", "versions", "settings", "Conventions"} <= set(back.attrs)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "table.csv"
    write_text("old", path)

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"table\.csv: No space left"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("free", [1000, 10**12])
def test_a_library_error_on_a_full_disk_says_that_the_disk_is_full(tmp_path, monkeypatch, free):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))

    def fail(_):
        raise RuntimeError("NetCDF: HDF error")

    expected = (OSError, "1000 bytes are left") if free == 1000 else (RuntimeError, "HDF error")
    with pytest.raises(expected[0], match=expected[1]):
        write_atomically(tmp_path / "data.nc", fail)


def test_floats_in_a_table_keep_every_bit(tmp_path):
    table = pd.DataFrame({"x": np.random.default_rng(1).standard_normal(50)})
    write_table(table, tmp_path / "t.csv")
    assert (pd.read_csv(tmp_path / "t.csv")["x"] == table["x"]).all()


def test_a_truncated_file_is_named_with_the_command_that_makes_it_anew(tmp_path, dataset):
    path = tmp_path / "data.nc"
    write_dataset(dataset, path, provenance=provenance("data", {}, seed=3))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"data\.nc is not a readable NetCDF.*snakemake"):
        read_dataset(path, kind="data")


def test_a_foreign_file_another_kind_and_another_experiment_are_refused(tmp_path, dataset):
    foreign, ours = tmp_path / "foreign.nc", tmp_path / "ours.nc"
    dataset.to_netcdf(foreign)
    with pytest.raises(ValueError, match="another program wrote it"):
        read_dataset(foreign, kind="data")
    write_dataset(dataset, ours, provenance=provenance("data", {}, seed=3))
    with pytest.raises(ValueError, match="kind = 'evaluation'"):
        read_dataset(ours, kind="evaluation")
    with pytest.raises(ValueError, match="experiment = 'ks'"):
        read_dataset(ours, kind="data", experiment="ks")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_dataset(tmp_path / "none.nc", kind="data")


@pytest.mark.parametrize(("written", "commit"), [("0a1b2c3d\n", "0a1b2c3d"), ("$Format:%h$\n", "unknown")])
def test_an_archive_without_git_tells_the_commit_that_git_wrote_into_it(tmp_path, monkeypatch, written, commit):
    (tmp_path / files.ARCHIVED_COMMIT).write_text(written)
    monkeypatch.setattr(files, "__file__", str(tmp_path / "mnmef" / "io" / "files.py"))
    assert files.source_commit.__wrapped__() == commit
