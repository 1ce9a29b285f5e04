"""Faults on purpose: a sample in every run of the tests, all of them with `make test-faults`."""

import pytest

from tests.faults.campaign import run


def judged(campaign):
    print(f"\n{campaign.line()}")
    assert campaign.wrong == []
    return campaign.faults


def test_a_sample_of_faults_ends_with_the_right_bits_or_an_error_that_names_the_file(tmp_path):
    faults = judged(run(tmp_path, kills=4, snakemakes=0, damaged=5, jobs=1, seed=2))
    assert faults["kill -9 of a job"] == 4
    assert faults["limit of the size of files"] == 2


@pytest.mark.faults
def test_a_campaign_of_faults_ends_with_the_right_bits_or_errors_that_name_the_file(tmp_path):
    faults = judged(run(tmp_path, kills=100, snakemakes=10, damaged=66))
    assert faults["kill -9 of a job"] == 100
    assert faults["kill -9 of Snakemake"] == 10
