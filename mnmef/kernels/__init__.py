"""Forecasts, analyses and attention compiled for a CPU by numba, on arrays with a last axis of lanes: states or
problems of a batch that are worked on side by side, each in its own lane of the processor's vectors.

Importing this package imports nothing else. Without numba, as on many a machine with a GPU, a CPU takes the same steps
by array operations of torch.
"""

from importlib.util import find_spec

HAS_NUMBA = find_spec("numba") is not None
"""True if there is a compiler for the modules of this package."""

HUGE = 1e100
"""Entries beyond this belong to an ensemble that is about to overflow; LAPACK may fail to converge on them."""

STEEP = 1e4
"""Squared size of anomalies, in units of the noise, from which on squaring them costs digits that iterations need."""
