"""Observations of the user's from files."""

import numpy as np
import pytest
import xarray as xr

from mnmef.io.arrays import read_array

VALUES = np.array([[1.0, np.nan], [2.0, 3.0]])


def test_an_array_and_a_variable_of_a_netcdf_are_the_same_observations(tmp_path):
    np.save(tmp_path / "y.npy", VALUES)
    both = xr.Dataset({"wind": (("time", "site"), VALUES), "mask": (("time", "site"), VALUES > 1)})
    both.to_netcdf(tmp_path / "both.nc")
    both[["wind"]].to_netcdf(tmp_path / "wind.nc")
    for file, variable in (("y.npy", None), ("both.nc", "wind"), ("wind.nc", None), ("wind.nc", "wind")):
        np.testing.assert_array_equal(read_array(tmp_path / file, variable), VALUES)
    with pytest.raises(ValueError, match=r"both\.nc has 2 variables, wind, mask; say which"):
        read_array(tmp_path / "both.nc")
    with pytest.raises(ValueError, match=r"both\.nc: unknown variable 'winds'\. Did you mean 'wind'"):
        read_array(tmp_path / "both.nc", "winds")


def test_a_file_of_something_else_is_refused_by_name(tmp_path):
    (tmp_path / "y.nc").write_text("wind")
    with pytest.raises(ValueError, match=r"y\.nc cannot be read as NetCDF"):
        read_array(tmp_path / "y.nc")
    np.save(tmp_path / "y.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"y\.npy cannot be read"):
        read_array(tmp_path / "y.npy")
