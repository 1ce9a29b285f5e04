"""Loops compiled by numba for a CPU: forecasts, attention, Gauss-Newton, eigenproblems. May import `core`."""
