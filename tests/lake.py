"""A small experiment of a user's, for tests: its forecast model in NumPy, `model.py`, and its file."""

MODEL = """\
import numpy as np


class Lake:
    state_size = 2
    step_size = 0.1

    def __init__(self, rate=1.0):
        self.rate = rate

    def step(self, state):
        return state - self.step_size * self.rate * state

    def initial_states(self, count, rng):
        return rng.standard_normal((count, 2))
"""
EXPERIMENT = """\
title: Lake
system: model.py:Lake
observation: {components: [0]}
steps_per_cycle: 2
bound: 10.0
first_spread: 0.5
burn_in_time: 1.0
grid: null
baselines: [enkf]
search: {engine: batched}
"""
