"""Caches where the usual folders cannot be written."""

import os

import pytest

from mnmef.io.machine_code import move_caches


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder, and an environment that names no other."""
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "")  # put back at the end
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_caches_stay_where_the_home_folder_can_be_written(home, tmp_path):
    home.mkdir()
    assert move_caches(tmp_path / "own") == []
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_caches_move_where_neither_checkout_nor_home_can_be_written(home, tmp_path, monkeypatch):
    monkeypatch.setattr("mnmef.io.machine_code._is_writable", lambda folder: False)
    assert move_caches(tmp_path / "own") == ["NUMBA_CACHE_DIR", "MPLCONFIGDIR"]
    assert os.environ["NUMBA_CACHE_DIR"].startswith(str(tmp_path / "own"))
    assert move_caches(tmp_path / "own") == []  # those that are set are the user's


def test_a_home_folder_that_is_no_folder_cannot_be_written(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/proc/nobody")
    assert "MPLCONFIGDIR" in move_caches(tmp_path / "own")
