"""States go in and out of the vectors of compiled kernels as they are."""

import numpy as np
import pytest
from numba import njit

from mnmef.kernels.lanes import integer, state_reader, state_writer


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("kept", ["float32", "float64"])
@pytest.mark.parametrize("given", ["float32", "float64"])
def test_columns_become_vectors_and_vectors_rows(lanes, kept, given):
    def place(builder, column, n):
        return builder.mul(builder.add(column, integer(n)), integer(lanes))

    read, write = state_reader(lanes, place), state_writer(lanes, place, 0.5)

    @njit
    def there_and_back(states, fields, result, begin, column):
        read(states, fields, begin, len(states) - 1, states.shape[1], column)
        write(result, fields, begin, len(states) - 1, states.shape[1], column)

    begin, count = 3, 3 + lanes - 1  # the last lane has no row of its own
    states = np.arange(count * 2 * lanes, dtype=given).reshape(count, 2 * lanes)
    fields, result = np.full(2 * lanes * lanes, -1, kept), np.full_like(states, -1)
    there_and_back(states, fields, result, begin, lanes)
    rows = np.minimum(np.arange(begin, begin + lanes), count - 1)
    assert (fields.reshape(2 * lanes, lanes)[lanes:] == states[rows, lanes:].T).all()
    assert (fields[: lanes * lanes] == -1).all()
    assert (result[begin:, lanes:] == 0.5 * states[begin:, lanes:]).all()
    assert (result[:begin] == -1).all()
    assert (result[:, :lanes] == -1).all()
