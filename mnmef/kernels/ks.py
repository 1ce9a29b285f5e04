"""One cycle of the Kuramoto-Sivashinsky equation, `u_t = -u u_x - u_xx - u_xxxx` on a circle, by ETD-RK4.

With v the Fourier coefficients of u and `N(v) = -ik/2 F(u^2)`, a step of the scheme of Cox and Matthews (2002) is

    a = E2 v + Q N(v),   b = E2 v + Q N(a),   c = E2 a + Q (2 N(b) - N(v)),
    v <- E v + F1 N(v) + 2 F2 (N(a) + N(b)) + F3 N(c),

so that it takes four pairs of transforms, between which only squares are formed. N grid points are the real (even
points) and imaginary parts (odd points) of N/2 complex numbers, which are transformed in place by passes of radix 8 or
4. Passes to frequencies leave these with the digits of their places reversed, from where passes back begin: nothing is
reordered. The last pass back, the squares and the first pass to frequencies touch the same rows and are one.

A complex number is a pair, and a field has its real part in one row of lanes and its imaginary part in the next. On the
way back the two change places: because `F(i conj z)` is i times the conjugate of the inverse transform of z, the same
butterflies then serve in both directions. All fields stay in the first cache.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mnmef.kernels.compiling import INNER, OPTIONS
from mnmef.kernels.lanes import aligned_room, lanes_of, load_line, store

Complex = tuple[float, float]
Four = tuple[Complex, Complex, Complex, Complex]
Turns = tuple[complex, complex, complex, complex]

THERE, BACK, SQUARES = range(3)
"""Ways of a pass: to frequencies, back to grid points, or back, squares of grid points, and there again."""

BEGIN, FIRST, SECOND, THIRD, LAST = range(5)
"""Stages of a step, and what comes before the first one."""

E, E2, Q, Q2, T, F1, F2, F3 = range(8)
"""Coefficients of a frequency: those of the scheme less the factor i, Q2 = 2 Q and T = E2 Q - Q."""

HALF_ROOT = 0.5**0.5


class Tables(NamedTuple):
    """Tables of `ks_cycle`.

    lanes: of a row. passes (P, 2): distance of the rows of a butterfly, and radix, of the passes to frequencies. turns
    (P N/2,): exp(-2 pi i k q / n) of the k-th butterfly of n numbers, at k radix + q. pairs (N/4 + 1, 2): places of the
    frequencies f <= N/4 and N/2 - f. half_turns (N/4 + 1,): exp(-2 pi i f / N). coefficients (N/2 + 2, 8): of these
    frequencies in turn.
    """

    lanes: int
    passes: np.ndarray
    turns: np.ndarray
    pairs: np.ndarray
    half_turns: np.ndarray
    coefficients: np.ndarray


def make_tables(precision: str, size: int, etd: tuple[np.ndarray, ...]) -> Tables:
    """The tables for `size` grid points, a power of two from 8 on, in the `precision` in which to compute, such as
    "float32".

    etd: coefficients (N/2 + 1,) exp(hL), exp(hL/2), and Q, 2 Q, F1, 2 F2, F3 times -ik/2. Raises `ValueError` for
    another size.
    """
    if size < 8 or size & (size - 1):
        raise ValueError(f"the compiled cycle is for a power of two of grid points, at least 8, not for {size}")
    kind = {"float32": "complex64", "float64": "complex128"}[precision]
    half, rest, passes, turns, frequency = size // 2, size // 2, [], [], np.zeros(1, int)
    while rest > 1:
        radix = 8 if rest % 8 == 0 and rest != 16 else 4
        rest //= radix
        angles = np.outer(np.arange(rest), np.arange(radix)) / (radix * rest)
        turns.append(np.tile(np.exp(-2j * np.pi * angles).ravel(), half // (radix * rest)))
        passes.append((rest, radix))
    for _, radix in reversed(passes):
        frequency = np.add.outer(np.arange(radix), radix * frequency).ravel()
    f, place = np.arange(size // 4 + 1), np.argsort(frequency)
    pairs = np.stack([place[f], place[-f % half]], -1)
    e, e2, *forced = (c[np.stack([f, half - f], -1).ravel()] for c in etd)
    # Squares arrive times (2 N)^2, spectra being kept times 2; their multipliers are imaginary.
    q, q2, *weights = (c.imag / (2 * size) ** 2 for c in forced)
    coefficients = np.stack([e, e2, q, q2, e2 * q - q2 / 2, *weights], -1).astype(precision)
    half_turns = np.exp(-2j * np.pi * f / size).astype(kind)
    return Tables(
        lanes_of(coefficients.dtype), np.array(passes), np.array(turns, kind).ravel(), pairs, half_turns, coefficients
    )


@njit(**INNER)
def _read(rows: np.ndarray, i: int) -> Complex:
    return load_line(rows, 2 * i), load_line(rows, 2 * i + 1)


@njit(**INNER)
def _write(rows: np.ndarray, i: int, z: Complex) -> None:
    store(rows, 2 * i, z[0])
    store(rows, 2 * i + 1, z[1])


@njit(**INNER)
def _read_four(rows: np.ndarray, i: int, step: int) -> Four:
    return _read(rows, i), _read(rows, i + step), _read(rows, i + 2 * step), _read(rows, i + 3 * step)


@njit(**INNER)
def _write_four(rows: np.ndarray, i: int, step: int, z: Four) -> None:
    _write(rows, i, z[0])
    _write(rows, i + step, z[1])
    _write(rows, i + 2 * step, z[2])
    _write(rows, i + 3 * step, z[3])


@njit(**INNER)
def _plus(z: Complex, w: Complex) -> Complex:
    return z[0] + w[0], z[1] + w[1]


@njit(**INNER)
def _minus(z: Complex, w: Complex) -> Complex:
    return z[0] - w[0], z[1] - w[1]


@njit(**INNER)
def _times(z: Complex, w: complex) -> Complex:
    return z[0] * w.real - z[1] * w.imag, z[0] * w.imag + z[1] * w.real


@njit(**INNER)
def _plus_i(z: Complex, factor: float, n: Complex) -> Complex:
    """Z + i factor n."""
    return z[0] - n[1] * factor, z[1] + n[0] * factor


@njit(**INNER)
def _turns(w: np.ndarray, k: int) -> Turns:
    return w[k], w[k + 1], w[k + 2], w[k + 3]


@njit(**INNER)
def _turned(z: Four, w: Turns, first: bool) -> Four:
    """Four numbers times factors, of which the first one is one unless `first`."""
    return _times(z[0], w[0]) if first else z[0], _times(z[1], w[1]), _times(z[2], w[2]), _times(z[3], w[3])


@njit(**INNER)
def _squared(a: Complex, b: Complex, c: Complex, d: Complex) -> Four:
    """Squares of real and imaginary parts, which change places."""
    return (
        (a[1] * a[1], a[0] * a[0]),
        (b[1] * b[1], b[0] * b[0]),
        (c[1] * c[1], c[0] * c[0]),
        (d[1] * d[1], d[0] * d[0]),
    )


@njit(**INNER)
def _of_four(z: Four) -> Four:
    """The transform of four numbers."""
    p, q, u, v = _plus(z[0], z[2]), _minus(z[0], z[2]), _plus(z[1], z[3]), _minus(z[1], z[3])
    return _plus(p, u), (q[0] + v[1], q[1] - v[0]), _minus(p, u), (q[0] - v[1], q[1] + v[0])


@njit(**INNER)
def _of_eight(even: Four, odd: Four, root: float) -> tuple[Four, Four]:
    """The transform of eight numbers, given apart; its first and its last half; root: that of 1/2."""
    w, (x, y, z, u) = _of_four(even), _of_four(odd)
    y, z, u = (root * (y[0] + y[1]), root * (y[1] - y[0])), (z[1], -z[0]), (root * (u[1] - u[0]), -root * (u[0] + u[1]))
    return (
        (_plus(w[0], x), _plus(w[1], y), _plus(w[2], z), _plus(w[3], u)),
        (_minus(w[0], x), _minus(w[1], y), _minus(w[2], z), _minus(w[3], u)),
    )


@njit(**INNER)
def _radix_four(z: Four, w: Turns, way: int, turns: bool) -> Four:
    if way != THERE and turns:
        z = _turned(z, w, False)
    z = _of_four(z)
    if way == SQUARES:
        z = _of_four(_squared(z[0], z[1], z[2], z[3]))
    return _turned(z, w, False) if way != BACK and turns else z


@njit(**INNER)
def _radix_eight(
    even: Four, odd: Four, w: tuple[Turns, Turns], root: float, way: int, turns: bool
) -> tuple[Four, Four]:
    (a, b, c, d), (e, f, g, h) = w
    if way != THERE and turns:
        even, odd = _turned(even, (a, c, e, g), False), _turned(odd, (b, d, f, h), True)
    low, high = _of_eight(even, odd, root)
    if way == SQUARES:
        even, odd = _squared(low[0], low[2], high[0], high[2]), _squared(low[1], low[3], high[1], high[3])
        low, high = _of_eight(even, odd, root)
    return (_turned(low, w[0], False), _turned(high, w[1], True)) if way != BACK and turns else (low, high)


@njit(**INNER)
def _butterfly(rows: np.ndarray, i: int, step: int, radix: int, w: np.ndarray, k: int, way: int, turns: bool) -> None:
    """A butterfly on rows i, i + step, ..., with the factors w from k on, which are one unless it `turns`."""
    if radix == 4:
        _write_four(rows, i, step, _radix_four(_read_four(rows, i, step), _turns(w, k), way, turns))
        return
    even, odd = _read_four(rows, i, 2 * step), _read_four(rows, i + step, 2 * step)
    root, both = rows.dtype.type(HALF_ROOT), (_turns(w, k), _turns(w, k + 4))
    low, high = _radix_eight(even, odd, both, root, way, turns)
    _write_four(rows, i, step, low)
    _write_four(rows, i + 4 * step, step, high)


@njit(**INNER)
def _transform(rows: np.ndarray, passes: np.ndarray, turns: np.ndarray, first: int, end: int, way: int) -> None:
    """Do passes `first` ... of those to frequencies, in this order or, on the way back, from the last one on."""
    half = len(rows) // 2
    for n in range(first, end):
        p = first + end - 1 - n if way == BACK else n
        step, radix = passes[p, 0], passes[p, 1]
        for i in range(0, half, radix * step):
            for k in range(step):
                _butterfly(rows, i + k, step, radix, turns, p * half + k * radix, way, k > 0)


@njit(**INNER)
def _stage(stage: int, spectrum: np.ndarray, i: int, n: Complex, table: np.ndarray, f: int) -> Complex:
    """Spectrum that goes back to the grid, given the transform n of the squares there, for the f-th row of the table.

    spectrum: at i v, and from the second stage on `E v + T N(v)`, what the third one starts from; at i + 2 N(v) / i,
    and then the next v as far as it is known.
    """
    if stage == BEGIN:
        _write(spectrum, i, n)
        return n
    if stage == LAST:
        v = _plus_i(_read(spectrum, i + 2), table[f, F3], n)
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
def _spectral(
    stage: int, rows: np.ndarray, pairs: np.ndarray, turns: np.ndarray, table: np.ndarray, spectrum: np.ndarray
) -> None:
    """A stage of the scheme, on twice the coefficients of the real signals whose even and odd points are the real and
    imaginary parts of what was transformed.
    """
    for k in range(len(pairs)):
        place, mirror, turn = pairs[k, 0], pairs[k, 1], turns[k]
        z, w = _read(rows, place), _read(rows, mirror)
        even, odd = (z[0] + w[0], z[1] - w[1]), _times((z[1] + w[1], w[0] - z[0]), turn)
        v = _stage(stage, spectrum, 4 * k, _plus(even, odd), table, 2 * k)
        w = _stage(stage, spectrum, 4 * k + 1, (even[0] - odd[0], odd[1] - even[1]), table, 2 * k + 1)
        even, odd = (v[0] + w[0], v[1] - w[1]), _times((v[0] - w[0], v[1] + w[1]), turn.conjugate())
        _write(rows, mirror, (odd[0] - even[1], even[0] + odd[1]))  # at f = 0 these are the same row
        _write(rows, place, (even[1] + odd[0], even[0] - odd[1]))


@njit(**OPTIONS)
def ks_cycle(states: np.ndarray, result: np.ndarray, steps: int, t: Tables) -> None:
    """Advance `states` (M, N) by `steps` steps into `result` (M, N).

    t: of `make_tables`, in the precision in which to compute.
    """
    count, size = states.shape
    lanes, passes, turns, pairs, half_turns, coefficients = t
    rows, spectrum = aligned_room(size, lanes, coefficients), aligned_room(8 * len(pairs), lanes, coefficients)
    last, scale = len(passes), rows.dtype.type(0.5 / size)
    for begin in range(0, count, lanes):
        for lane in range(lanes):
            origin = states[min(begin + lane, count - 1)]  # surplus lanes repeat the last state
            for i in range(size):
                rows[i, lane] = origin[i]
        _transform(rows, passes, turns, 0, last, THERE)
        _spectral(BEGIN, rows, pairs, half_turns, coefficients, spectrum)
        for _ in range(steps):
            for stage in range(FIRST, LAST + 1):
                _transform(rows, passes, turns, 1, last, BACK)
                _transform(rows, passes, turns, 0, 1, SQUARES)
                _transform(rows, passes, turns, 1, last, THERE)
                _spectral(stage, rows, pairs, half_turns, coefficients, spectrum)
        _transform(rows, passes, turns, 0, last, BACK)
        for lane in range(min(lanes, count - begin)):
            target = result[begin + lane]
            for i in range(size):
                target[i] = rows[i ^ 1, lane] * scale
