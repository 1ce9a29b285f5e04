"""The clock of timings."""

import time

import pytest

from mnmef.core.clock import cycles_for, elapsed, now


@pytest.mark.parametrize(("each", "count"), [(1.0, 1), (0.3, 4), (0.01, 20), (0.0, 20)])
def test_a_timing_has_at_least_one_cycle_and_no_more_than_there_are(each, count):
    assert cycles_for(1.0, each, 20) == count


def test_a_timing_has_as_many_cycles_as_its_setup_asks_for():
    assert cycles_for(1.0, 0.025, 500, least=20) == 40
    assert cycles_for(1.0, 0.25, 500, least=20) == 20


def test_a_sleep_takes_wall_time_and_no_time_of_the_process():
    def sleep():
        time.sleep(0.1)
        return "value"

    seconds, value = elapsed(sleep)
    assert seconds >= 0.1
    assert value == "value"
    began = time.process_time()
    seconds, _ = elapsed(sleep, of_process=True)
    assert seconds <= time.process_time() - began


def test_the_clock_does_not_go_backwards():
    readings = [now() for _ in range(100)]
    assert readings == sorted(readings)
