"""One cycle of the Kuramoto-Sivashinsky equation compiled for a CPU: four times faster than array operations.

The transform of 128 real numbers is one of 64 complex ones, whose real and imaginary parts are the even and the odd
grid points, and a pass that separates the spectra of the two. The complex transform is three passes of radix 4. They
leave frequencies in digit-reversed order, in which the coefficients are stored and from which the inverse passes start:
nothing is reordered. The first row holds the two frequencies with a real spectrum, 0 and 64; both have wave number zero
(see `KuramotoSivashinsky`), so that one coefficient serves both.

All fields of a block of states lie in one flat array, row by row, so that the innermost loop runs over states and
becomes vector instructions; the offsets between what it reads and writes are constants, which spares the compiler its
checks for overlap. Each state's result is independent of its neighbors.
"""

from functools import cache

import numpy as np
from numba import njit

from mnmef.systems.etd import etd_coefficients

SIZE = 128
ROWS = SIZE // 2
LANES = 32
"""States advanced together."""

FIELD = ROWS * LANES
"""From the real parts of a field to its imaginary parts."""

NOW, STAGE, NEXT, START, FIRST = 0, 2 * FIELD, 4 * FIELD, 6 * FIELD, 8 * FIELD
"""Offsets of the fields: v, a stage's state and then its squares, the next v, squares of v, the first stage."""

Tables = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@njit(inline="always")
def _forward_pass(s: np.ndarray, field: int, span: int, twiddles: np.ndarray) -> None:
    """Butterflies of radix 4 over rows `span` apart, then twiddle factors."""
    x = span * LANES
    for group in range(0, ROWS, 4 * span):
        for k in range(span):
            a = field + (group + k) * LANES
            c1, d1, c2, d2, c3, d3 = twiddles[k]
            for j in range(LANES):
                r0, r1, r2, r3 = s[a + j], s[a + x + j], s[a + 2 * x + j], s[a + 3 * x + j]
                i0, i1, i2, i3 = (
                    s[a + FIELD + j],
                    s[a + FIELD + x + j],
                    s[a + FIELD + 2 * x + j],
                    s[a + FIELD + 3 * x + j],
                )
                pr, pi, qr, qi = r0 + r2, i0 + i2, r0 - r2, i0 - i2
                ur, ui, vr, vi = r1 + r3, i1 + i3, r1 - r3, i1 - i3
                s[a + j], s[a + FIELD + j] = pr + ur, pi + ui
                r1, i1, r2, i2, r3, i3 = qr + vi, qi - vr, pr - ur, pi - ui, qr - vi, qi + vr
                s[a + x + j], s[a + FIELD + x + j] = r1 * c1 - i1 * d1, r1 * d1 + i1 * c1
                s[a + 2 * x + j], s[a + FIELD + 2 * x + j] = r2 * c2 - i2 * d2, r2 * d2 + i2 * c2
                s[a + 3 * x + j], s[a + FIELD + 3 * x + j] = r3 * c3 - i3 * d3, r3 * d3 + i3 * c3


@njit(inline="always")
def _inverse_pass(s: np.ndarray, field: int, span: int, twiddles: np.ndarray) -> None:
    """The inverse of `_forward_pass`, times 4: conjugate twiddle factors, then butterflies."""
    x = span * LANES
    for group in range(0, ROWS, 4 * span):
        for k in range(span):
            a = field + (group + k) * LANES
            c1, d1, c2, d2, c3, d3 = twiddles[k]
            for j in range(LANES):
                r0, r1, r2, r3 = s[a + j], s[a + x + j], s[a + 2 * x + j], s[a + 3 * x + j]
                i0, i1, i2, i3 = (
                    s[a + FIELD + j],
                    s[a + FIELD + x + j],
                    s[a + FIELD + 2 * x + j],
                    s[a + FIELD + 3 * x + j],
                )
                r1, i1 = r1 * c1 + i1 * d1, i1 * c1 - r1 * d1
                r2, i2 = r2 * c2 + i2 * d2, i2 * c2 - r2 * d2
                r3, i3 = r3 * c3 + i3 * d3, i3 * c3 - r3 * d3
                pr, pi, qr, qi = r0 + r2, i0 + i2, r0 - r2, i0 - i2
                ur, ui, vr, vi = r1 + r3, i1 + i3, r1 - r3, i1 - i3
                s[a + j], s[a + FIELD + j] = pr + ur, pi + ui
                s[a + x + j], s[a + FIELD + x + j] = qr - vi, qi + vr
                s[a + 2 * x + j], s[a + FIELD + 2 * x + j] = pr - ur, pi - ui
                s[a + 3 * x + j], s[a + FIELD + 3 * x + j] = qr + vi, qi - vr


@njit(inline="always")
def _separate(s: np.ndarray, field: int, mirror: np.ndarray, turns: np.ndarray) -> None:
    """Twice the spectra of the real signals, from those of their even and odd points as one complex signal."""
    for j in range(field, field + LANES):
        even, odd = s[j], s[FIELD + j]
        s[j], s[FIELD + j] = 2 * (even + odd), 2 * (even - odd)
    for pair in range(ROWS // 2):
        a, b = field + mirror[pair, 0] * LANES, field + mirror[pair, 1] * LANES
        c, d = turns[pair]
        for j in range(LANES):
            ar, ai, br, bi = s[a + j], s[a + FIELD + j], s[b + j], s[b + FIELD + j]
            er, ei, fr, fi = ar + br, ai - bi, ai + bi, br - ar
            gr, gi = fr * c - fi * d, fr * d + fi * c
            s[a + j], s[a + FIELD + j] = er + gr, ei + gi
            s[b + j], s[b + FIELD + j] = er - gr, gi - ei


@njit(inline="always")
def _join(s: np.ndarray, field: int, mirror: np.ndarray, turns: np.ndarray) -> None:
    """The inverse of `_separate`, times 4."""
    for j in range(field, field + LANES):
        first, last = s[j], s[FIELD + j]
        s[j], s[FIELD + j] = first + last, first - last
    for pair in range(ROWS // 2):
        a, b = field + mirror[pair, 0] * LANES, field + mirror[pair, 1] * LANES
        c, d = turns[pair]
        for j in range(LANES):
            ar, ai, br, bi = s[a + j], s[a + FIELD + j], s[b + j], s[b + FIELD + j]
            er, ei, gr, gi = ar + br, ai - bi, ar - br, ai + bi
            fr, fi = gr * c + gi * d, gi * c - gr * d
            s[a + j], s[a + FIELD + j] = er - fi, ei + fr
            s[b + j], s[b + FIELD + j] = er + fi, fr - ei


@njit(inline="always")
def _transform(s: np.ndarray, field: int, tables: Tables) -> None:
    """Twice the spectra of the signals in `field`."""
    _forward_pass(s, field, 16, tables[0])
    _forward_pass(s, field, 4, tables[1])
    _forward_pass(s, field, 1, tables[2])
    _separate(s, field, tables[3], tables[4])


@njit(inline="always")
def _inverse_transform(s: np.ndarray, field: int, tables: Tables) -> None:
    """128 times the signals that the spectra in `field` belong to."""
    _join(s, field, tables[3], tables[4])
    _inverse_pass(s, field, 1, tables[2])
    _inverse_pass(s, field, 4, tables[1])
    _inverse_pass(s, field, 16, tables[0])


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _squares(s: np.ndarray, field: int, tables: Tables) -> None:
    """Replace the spectra in `field` by those of the signals' squares, times 2 * 128^2."""
    _inverse_transform(s, field, tables)
    for i in range(field, field + 2 * FIELD):
        s[i] *= s[i]
    _transform(s, field, tables)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def ks_cycle(states: np.ndarray, result: np.ndarray, steps: int, tables: Tables, coefficients: np.ndarray) -> None:
    """Advance `states` (M, 128) by `steps` ETD-RK4 steps into `result` (M, 128).

    tables, coefficients: of `make_tables`, in the precision in which to compute.
    """
    count = states.shape[0]
    s = np.empty(10 * FIELD, coefficients.dtype)
    half, unit = coefficients.dtype.type(0.5), coefficients.dtype.type(0.5 / SIZE)
    for begin in range(0, count, LANES):
        for j in range(LANES):
            row = min(begin + j, count - 1)  # surplus lanes repeat the last state
            for i in range(ROWS):
                s[NOW + i * LANES + j], s[NOW + FIELD + i * LANES + j] = states[row, 2 * i], states[row, 2 * i + 1]
        _transform(s, NOW, tables)
        for _ in range(steps):
            for i in range(2 * FIELD):
                s[START + i] = s[NOW + i]
            _squares(s, START, tables)
            for i in range(ROWS):
                e, e2, q, _q2, f1, _f2, _f3 = coefficients[i]
                for j in range(LANES):
                    a = i * LANES + j
                    vr, vi, nr, ni = s[NOW + a], s[NOW + FIELD + a], s[START + a], s[START + FIELD + a]
                    ur, ui = e2 * vr - q * ni, e2 * vi + q * nr
                    s[FIRST + a], s[FIRST + FIELD + a] = ur, ui
                    s[STAGE + a], s[STAGE + FIELD + a] = ur, ui
                    s[NEXT + a], s[NEXT + FIELD + a] = e * vr - f1 * ni, e * vi + f1 * nr
            _squares(s, STAGE, tables)
            for i in range(ROWS):
                _e, e2, q, _q2, _f1, f2, _f3 = coefficients[i]
                for j in range(LANES):
                    a = i * LANES + j
                    nr, ni = s[STAGE + a], s[STAGE + FIELD + a]
                    s[NEXT + a] -= f2 * ni
                    s[NEXT + FIELD + a] += f2 * nr
                    s[STAGE + a], s[STAGE + FIELD + a] = e2 * s[NOW + a] - q * ni, e2 * s[NOW + FIELD + a] + q * nr
            _squares(s, STAGE, tables)
            for i in range(ROWS):
                _e, e2, _q, q2, _f1, f2, _f3 = coefficients[i]
                for j in range(LANES):
                    a = i * LANES + j
                    nr, ni = s[STAGE + a], s[STAGE + FIELD + a]
                    s[NEXT + a] -= f2 * ni
                    s[NEXT + FIELD + a] += f2 * nr
                    nr, ni = nr - half * s[START + a], ni - half * s[START + FIELD + a]
                    s[STAGE + a], s[STAGE + FIELD + a] = (
                        e2 * s[FIRST + a] - q2 * ni,
                        e2 * s[FIRST + FIELD + a] + q2 * nr,
                    )
            _squares(s, STAGE, tables)
            for i in range(ROWS):
                f3 = coefficients[i, 6]
                for j in range(LANES):
                    a = i * LANES + j
                    s[NOW + a] = s[NEXT + a] - f3 * s[STAGE + FIELD + a]
                    s[NOW + FIELD + a] = s[NEXT + FIELD + a] + f3 * s[STAGE + a]
        _inverse_transform(s, NOW, tables)
        for j in range(min(LANES, count - begin)):
            for i in range(ROWS):
                result[begin + j, 2 * i] = unit * s[NOW + i * LANES + j]
                result[begin + j, 2 * i + 1] = unit * s[NOW + FIELD + i * LANES + j]


@cache
def make_tables(precision: str, size: int, step_size: float) -> tuple[Tables, np.ndarray]:
    """What `ks_cycle` needs, in the `precision` in which it is to compute, such as "float32".

    Twiddle factors of the three passes, pairs of rows with mirrored frequencies (32, 2) and their half turns (32, 2),
    and coefficients (64, 7). Raises `ValueError` for a `size` other than 128, which the passes are written for.
    """
    if size != SIZE:
        raise ValueError(f"the compiled cycle is for {SIZE} grid points, not {size}")
    twiddles = []
    for span in (16, 4, 1):
        factors = np.exp(-2j * np.pi * np.arange(span)[:, None] * np.arange(1, 4) / (4 * span))
        twiddles.append(np.stack([factors.real, factors.imag], -1).reshape(span, 6).astype(precision))
    # The digits of a row, in base 4, are those of its frequency in reverse.
    first, second, third = np.unravel_index(np.arange(ROWS), (4, 4, 4))
    frequency = first + 4 * second + 16 * third
    row = np.argsort(frequency)
    low = np.arange(1, ROWS // 2 + 1)  # the last of them, 32, is its own mirror image
    mirror = np.stack([row[low], row[ROWS - low]], -1).astype(np.uint8)
    turn = np.exp(-2j * np.pi * low / SIZE)
    turns = np.stack([turn.real, turn.imag], -1).astype(precision)
    e, e2, *forced = (half[frequency] for half in etd_coefficients(size, step_size))
    # Squares arrive times 256^2, spectra being kept times 2; their multipliers are imaginary.
    columns = [e, e2, *(half.imag / (2 * SIZE) ** 2 for half in forced)]
    return (*twiddles, mirror, turns), np.stack(columns, -1).astype(precision)  # type: ignore[return-value]
