"""One cycle of the Kuramoto-Sivashinsky equation, `u_t = -u u_x - u_xx - u_xxxx` on a circle, by ETD-RK4.

With v the Fourier coefficients of u and `N(v) = -ik/2 F(u^2)`, a step of the scheme of Cox and Matthews (2002) is

    a = E2 v + Q N(v),   b = E2 v + Q N(a),   c = E2 a + Q (2 N(b) - N(v)),
    v <- E v + F1 N(v) + 2 F2 (N(a) + N(b)) + F3 N(c),

so that it takes four pairs of transforms, between which only squares are formed. N grid points are the real (even
points) and imaginary parts (odd points) of N/2 complex numbers, which are transformed in place by passes of radix 4,
and a last one of radix 2 where that is left. Passes to frequencies leave these with the digits of their places
reversed, from where passes back begin: nothing is reordered. The last pass back, the squares and the first pass to
frequencies touch the same rows and are one.

A complex number is a pair, and a field has its real part in one row of lanes and its imaginary part in the next. On the
way back the two change places: because `F(i conj z)` is i times the conjugate of the inverse transform of z, the same
butterflies then serve in both directions. All fields stay in the first cache.
"""

from collections import namedtuple

import numpy as np
from numba import njit

from mnmef.kernels.lanes import HAS_VECTORS, INNER, LINE, OPTIONS, aligned_room, gather, lines

Complex = tuple[float, float]

THERE, BACK, SQUARES = range(3)
"""Ways of a pass: to frequencies, back to grid points, or back, squares of grid points, and there again."""

BEGIN, FIRST, SECOND, THIRD, LAST = range(5)
"""Stages of a step, and what comes before the first one."""

E, E2, Q, Q2, T, F1, F2, F3 = range(8)
"""Coefficients of a frequency: those of the scheme less the factor i, Q2 = 2 Q and T = E2 Q - Q."""


Tables = namedtuple("Tables", "turns pairs half_turns coefficients")
"""Tables of `ks_cycle`.

turns (P, N/2): of each pass there, exp(-2 pi i k q / n) of the k-th butterfly of n numbers, at k radix + q.
pairs (N/4 + 1, 2): places of the frequencies f <= N/4 and N/2 - f. half_turns (N/4 + 1,): exp(-2 pi i f / N).
coefficients (N/2 + 2, 8): of these frequencies in turn.
"""


def make_tables(precision: str, size: int, etd: tuple[np.ndarray, ...]) -> Tables:
    """The tables for `size` grid points, a power of two from 8 on, in the `precision` in which to compute, such as
    "float32".

    etd: coefficients (N/2 + 1,) exp(hL), exp(hL/2), and Q, 2 Q, F1, 2 F2, F3 times -ik/2.
    """
    kind = {"float32": "complex64", "float64": "complex128"}[precision]
    rest = half = size // 2
    turns, place, digits = [], np.zeros(half, int), np.arange(half)
    while rest > 1:
        radix = min(rest, 4)
        rest //= radix
        angles = np.outer(np.arange(rest), np.arange(radix)) / (radix * rest)
        turns.append(np.tile(np.exp(-2j * np.pi * angles).ravel(), half // (radix * rest)))
        place, digits = place + digits % radix * rest, digits // radix
    f = np.arange(size // 4 + 1)
    pairs = np.stack([place[f], place[-f % half]], -1)
    e, e2, *forced = (c[np.stack([f, half - f], -1).ravel()] for c in etd)
    # Squares arrive times (2 N)^2, spectra being kept times 2; their multipliers are imaginary.
    q, q2, *weights = (c.imag / (2 * size) ** 2 for c in forced)
    coefficients = np.stack([e, e2, q, q2, e2 * q - q2 / 2, *weights], -1).astype(precision)
    return Tables(np.array(turns, kind), pairs, np.exp(-2j * np.pi * f / size).astype(kind), coefficients)


@njit(**INNER)
def _read(z: np.ndarray, i: int) -> Complex:
    row = np.uintp(i)  # an index with a sign might count from the end, which takes time to find out
    return z[row, 0], z[row, 1]


@njit(**INNER)
def _write(z: np.ndarray, i: int, x: Complex) -> None:
    row = np.uintp(i)
    z[row, 0], z[row, 1] = x


@njit(**INNER)
def _times(x: Complex, w: complex) -> Complex:
    return x[0] * w.real - x[1] * w.imag, x[0] * w.imag + x[1] * w.real


@njit(**INNER)
def _plus_i(x: Complex, factor: float, y: Complex) -> Complex:
    """X + i factor y."""
    return x[0] - y[1] * factor, x[1] + y[0] * factor


@njit(**INNER)
def _squares(x: Complex) -> Complex:
    """Squares of real and imaginary part, which change places."""
    return x[1] * x[1], x[0] * x[0]


@njit(**INNER)
def _of_two(a: Complex, b: Complex) -> tuple[Complex, Complex]:
    """The transform of two numbers: their sum and difference."""
    return (a[0] + b[0], a[1] + b[1]), (a[0] - b[0], a[1] - b[1])


@njit(**INNER)
def _of_four(a: Complex, b: Complex, c: Complex, d: Complex) -> tuple[Complex, Complex, Complex, Complex]:
    """The transform of four numbers."""
    (p, q), (u, v) = _of_two(a, c), _of_two(b, d)
    (first, third), (second, fourth) = _of_two(p, u), _of_two(q, (v[1], -v[0]))
    return first, second, third, fourth


@njit(**INNER)
def _butterfly(z: np.ndarray, i: int, step: int, w: np.ndarray, k: int, way: int, turns: bool) -> None:
    """Transform rows i, i + step, ...; their factors w are one unless it `turns`."""
    a, b, c, d = _read(z, i), _read(z, i + step), _read(z, i + 2 * step), _read(z, i + 3 * step)
    if way != THERE and turns:
        b, c, d = _times(b, w[k + 1]), _times(c, w[k + 2]), _times(d, w[k + 3])
    a, b, c, d = _of_four(a, b, c, d)
    if way == SQUARES:
        a, b, c, d = _of_four(_squares(a), _squares(b), _squares(c), _squares(d))
    if way != BACK and turns:
        b, c, d = _times(b, w[k + 1]), _times(c, w[k + 2]), _times(d, w[k + 3])
    _write(z, i, a)
    _write(z, i + step, b)
    _write(z, i + 2 * step, c)
    _write(z, i + 3 * step, d)


@njit(**INNER)
def _transform(z: np.ndarray, turns: np.ndarray, first: int, end: int, way: int) -> None:
    """Do passes `first` ... of those to frequencies, in this order or, on the way back, from the last one on."""
    for n in range(first, end):
        p = first + end - 1 - n if way == BACK else n
        step, w = len(z) >> (2 * p + 2), turns[p]
        if step == 0:
            for i in range(0, len(z), 2):
                a, b = _of_two(_read(z, i), _read(z, i + 1))
                _write(z, i, a)
                _write(z, i + 1, b)
            continue
        for i in range(0, len(z), 4 * step):
            for k in range(step):
                _butterfly(z, i + k, step, w, 4 * k, way, k > 0)


@njit(**INNER)
def _stage(stage: int, spectrum: np.ndarray, i: int, n: Complex, table: np.ndarray, f: int) -> Complex:
    """Spectrum that goes back to the grid, given the transform n of the squares there, for the f-th row of the table.

    spectrum: at i v, and from the second stage on `E v + T N(v)`, what the third one starts from; at i + 2 N(v) / i,
    and then the next v as far as it is known.
    """
    if stage in (BEGIN, LAST):
        v = n if stage == BEGIN else _plus_i(_read(spectrum, i + 2), table[f, F3], n)
        _write(spectrum, i, v)
        return v
    v = _read(spectrum, i)
    if stage == THIRD:
        _write(spectrum, i + 2, _plus_i(_read(spectrum, i + 2), table[f, F2], n))
        return _plus_i(v, table[f, Q2], n)
    if stage == FIRST:
        _write(spectrum, i + 2, n)
    else:
        decayed, known = (v[0] * table[f, E], v[1] * table[f, E]), _read(spectrum, i + 2)
        _write(spectrum, i, _plus_i(decayed, table[f, T], known))
        _write(spectrum, i + 2, _plus_i(_plus_i(decayed, table[f, F1], known), table[f, F2], n))
    return _plus_i((v[0] * table[f, E2], v[1] * table[f, E2]), table[f, Q], n)


@njit(**INNER)
def _spectral(stage: int, rows: np.ndarray, spectrum: np.ndarray, t: Tables) -> None:
    """A stage of the scheme, on twice the coefficients of the real signals whose even and odd points are the real and
    imaginary parts of what was transformed.
    """
    for k in range(len(t.pairs)):
        place, mirror, turn = t.pairs[k, 0], t.pairs[k, 1], t.half_turns[k]
        v, w = _read(rows, place), _read(rows, mirror)
        v, w = _of_two((v[0] + w[0], v[1] - w[1]), _times((v[1] + w[1], w[0] - v[0]), turn))
        v = _stage(stage, spectrum, 4 * k, v, t.coefficients, 2 * k)
        w = _stage(stage, spectrum, 4 * k + 1, (w[0], -w[1]), t.coefficients, 2 * k + 1)
        even, odd = (v[0] + w[0], v[1] - w[1]), _times((v[0] - w[0], v[1] + w[1]), turn.conjugate())
        _write(rows, mirror, (odd[0] - even[1], even[0] + odd[1]))  # at f = 0 these are the same row
        _write(rows, place, (even[1] + odd[0], even[0] - odd[1]))


@njit(**OPTIONS)
def ks_cycle(states: np.ndarray, result: np.ndarray, steps: int, t: Tables) -> None:
    """Advance `states` (M, N) by `steps` steps into `result` (M, N).

    t: of `make_tables`, in the precision in which to compute.
    """
    count, size = states.shape
    turns, last, like = t.turns, len(t.turns), t.coefficients
    lanes, scale = LINE // like.itemsize if HAS_VECTORS else 1, like.dtype.type(0.5 / size)
    rows, spectra = aligned_room(size, lanes, like), aligned_room(8 * len(t.pairs), lanes, like)
    z, spectrum = lines(rows.reshape(-1, 2, lanes)), lines(spectra.reshape(-1, 2, lanes))
    for begin in range(0, count, lanes):
        gather(states, begin, rows)
        _transform(z, turns, 0, last, THERE)
        _spectral(BEGIN, z, spectrum, t)
        for _ in range(steps):
            for stage in range(FIRST, LAST + 1):
                _transform(z, turns, 1, last, BACK)
                _transform(z, turns, 0, 1, SQUARES)
                _transform(z, turns, 1, last, THERE)
                _spectral(stage, z, spectrum, t)
        _transform(z, turns, 0, last, BACK)
        for lane in range(min(lanes, count - begin)):
            for i in range(size):
                result[begin + lane, i] = rows[i ^ 1, lane] * scale
