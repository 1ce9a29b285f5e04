"""One cycle of the Kuramoto-Sivashinsky equation, `u_t = -u u_x - u_xx - u_xxxx` on a circle, by ETD-RK4.

With v the Fourier coefficients of u and `N(v) = -ik/2 F(u^2)`, a step of the scheme of Cox and Matthews (2002) is

    a = E2 v + Q N(v),   b = E2 v + Q N(a),   c = E2 a + Q (2 N(b) - N(v)),
    v <- E v + F1 N(v) + 2 F2 (N(a) + N(b)) + F3 N(c),

so that it takes four pairs of transforms, between which only squares are formed. N grid points are the real (even
points) and imaginary parts (odd points) of N/2 complex numbers, and a transform is made of passes of radix 8 or 4. Each
butterfly of a pass writes neighboring rows and reads its own from wherever a table says that they are: nothing is ever
reordered. All fields stay in the first cache, and a state's result does not depend on its neighbors.

Real and imaginary parts are exchanged where a transform begins. Because `F(i conj z)` is i times the conjugate of the
inverse transform of z, the same passes then serve in both directions.
"""

import numpy as np
from numba import njit

from mnmef.kernels.compiling import OPTIONS, aligned_room, distinct
from mnmef.kernels.ks_tables import (
    BLOCK,
    E2,
    F1,
    F2,
    F3,
    LANES,
    NEXT,
    OUT,
    Q2,
    ROW,
    STATE,
    E,
    Frequencies,
    GridTransform,
    Q,
    T,
    Tables,
    make_tables,
)

__all__ = ["ks_cycle", "make_tables"]

HALF_ROOT = 0.5**0.5


@njit(inline="always")
def _load(rows: np.ndarray, place: int) -> complex:
    return complex(rows[place], rows[place + LANES])


@njit(inline="always")
def _read(rows: np.ndarray, power: int, place: int) -> complex:
    real, imag = rows[place], rows[place + LANES]
    return complex(real * real, imag * imag) if power == 2 else complex(real, imag)


@njit(inline="always")
def _store(rows: np.ndarray, place: int, z: complex) -> None:
    rows[place] = z.real
    rows[place + LANES] = z.imag


@njit(inline="always")
def _of_four(a: complex, b: complex, c: complex, d: complex) -> tuple[complex, complex, complex, complex]:
    """The transform of four numbers."""
    p, q, u, v = a + c, a - c, b + d, b - d
    return p + u, complex(q.real + v.imag, q.imag - v.real), p - u, complex(q.real - v.imag, q.imag + v.real)


@njit(inline="always")
def _eighth_roots(z: tuple[complex, ...], root: float) -> tuple[complex, complex, complex, complex]:
    """Times the powers 0 to 3 of exp(-i pi / 4); root: that of 1/2, in the precision of z."""
    _, a, b, c = z
    a = complex(root * (a.real + a.imag), root * (a.imag - a.real))
    c = complex(root * (c.imag - c.real), -root * (c.real + c.imag))
    return z[0], a, complex(b.imag, -b.real), c


@njit(inline="always")
def _store_eight(rows: np.ndarray, place: int, even: tuple[complex, ...], odd: tuple[complex, ...]) -> None:
    """Write sums, then differences, of four numbers and four others to the rows from a place on."""
    _store(rows, place, even[0] + odd[0])
    _store(rows, place + ROW, even[1] + odd[1])
    _store(rows, place + 2 * ROW, even[2] + odd[2])
    _store(rows, place + 3 * ROW, even[3] + odd[3])
    _store(rows, place + 4 * ROW, even[0] - odd[0])
    _store(rows, place + 5 * ROW, even[1] - odd[1])
    _store(rows, place + 6 * ROW, even[2] - odd[2])
    _store(rows, place + 7 * ROW, even[3] - odd[3])


@njit(**OPTIONS)
def _first_eights(source: np.ndarray, rows: np.ndarray, power: int, target: np.ndarray) -> None:
    """The first pass, whose factors are one, of radix 8, on squares of real and imaginary parts if `power` is 2."""
    root = source.dtype.type(HALF_ROOT)
    distinct()
    for k in range(rows.shape[1] // 8):
        p, begin = 8 * k, 8 * ROW * k
        a, b, c, d = rows[0, p], rows[0, p + 1], rows[0, p + 2], rows[0, p + 3]
        e, f, g, h = rows[0, p + 4], rows[0, p + 5], rows[0, p + 6], rows[0, p + 7]
        for j in range(LANES):
            even = _of_four(
                _read(source, power, a + j),
                _read(source, power, c + j),
                _read(source, power, e + j),
                _read(source, power, g + j),
            )
            odd = _of_four(
                _read(source, power, b + j),
                _read(source, power, d + j),
                _read(source, power, f + j),
                _read(source, power, h + j),
            )
            _store_eight(target, begin + j, even, _eighth_roots(odd, root))


@njit(**OPTIONS)
def _eights(n: int, source: np.ndarray, rows: np.ndarray, turns: np.ndarray, target: np.ndarray) -> None:
    """Pass n, of radix 8."""
    root = source.dtype.type(HALF_ROOT)
    distinct()
    for k in range(rows.shape[1] // 8):
        p, begin = 8 * k, 8 * ROW * k
        a, b, c, d = rows[n, p], rows[n, p + 1], rows[n, p + 2], rows[n, p + 3]
        e, f, g, h = rows[n, p + 4], rows[n, p + 5], rows[n, p + 6], rows[n, p + 7]
        t_b, t_c, t_d, t_e = turns[n, p + 1], turns[n, p + 2], turns[n, p + 3], turns[n, p + 4]
        t_f, t_g, t_h = turns[n, p + 5], turns[n, p + 6], turns[n, p + 7]
        for j in range(LANES):
            z_c, z_e, z_g = _load(source, c + j) * t_c, _load(source, e + j) * t_e, _load(source, g + j) * t_g
            z_b, z_d = _load(source, b + j) * t_b, _load(source, d + j) * t_d
            z_f, z_h = _load(source, f + j) * t_f, _load(source, h + j) * t_h
            odd = _eighth_roots(_of_four(z_b, z_d, z_f, z_h), root)
            _store_eight(target, begin + j, _of_four(_load(source, a + j), z_c, z_e, z_g), odd)


@njit(**OPTIONS)
def _fours(n: int, source: np.ndarray, rows: np.ndarray, turns: np.ndarray, target: np.ndarray) -> None:
    """Pass n, of radix 4."""
    distinct()
    for k in range(rows.shape[1] // 4):
        p, begin = 4 * k, 4 * ROW * k
        a, b, c, d = rows[n, p], rows[n, p + 1], rows[n, p + 2], rows[n, p + 3]
        t_b, t_c, t_d = turns[n, p + 1], turns[n, p + 2], turns[n, p + 3]
        for j in range(LANES):
            z_b, z_c, z_d = _load(source, b + j) * t_b, _load(source, c + j) * t_c, _load(source, d + j) * t_d
            w, x, y, z = _of_four(_load(source, a + j), z_b, z_c, z_d)
            _store(target, begin + j, w)
            _store(target, begin + ROW + j, x)
            _store(target, begin + 2 * ROW + j, y)
            _store(target, begin + 3 * ROW + j, z)


@njit(**OPTIONS)
def _transform(
    source: np.ndarray, power: int, plan: GridTransform, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Do all passes, to a and b in turn, on squares if `power` is 2; returns the one with the result and the other."""
    if power == 2 and plan.eights == 0:
        for p in range(len(source)):
            source[p] *= source[p]
    for n in range(len(plan.rows)):
        if n >= plan.eights:
            _fours(n, source, plan.rows, plan.turns, a)
        elif n:
            _eights(n, source, plan.rows, plan.turns, a)
        else:
            _first_eights(source, plan.rows, power, a)
        source, a, b = a, b, a
    return source, a


@njit(**OPTIONS)
def _separated(source: np.ndarray, f: int, mirror: int, turn: complex) -> tuple[complex, complex]:
    """Twice the coefficients of a real signal at frequencies f and N/2 - f, from the rows of f and of N/2 - f of the
    transform of its even points + i its odd points, given that parts were exchanged before and are now.
    """
    z, w = _load(source, mirror), _load(source, f)
    even = complex(z.imag + w.imag, z.real - w.real)
    odd = complex(z.real + w.real, w.imag - z.imag) * turn
    return even + odd, (even - odd).conjugate()


@njit(**OPTIONS)
def _join(v: complex, w: complex, turn: complex, spectrum: np.ndarray, place: int) -> None:
    """The inverse of `_separated`, times 4, to the two rows of OUT."""
    even = complex(v.real + w.real, v.imag - w.imag)
    odd = complex(v.real - w.real, v.imag + w.imag) * turn.conjugate()
    _store(spectrum, place + OUT, complex(even.imag + odd.real, even.real - odd.imag))
    _store(spectrum, place + OUT + ROW, complex(odd.real - even.imag, even.real + odd.imag))


@njit(**OPTIONS)
def _plus_i(z: complex, n: complex, factor: float) -> complex:
    """Z + i factor n."""
    return complex(z.real - n.imag * factor, z.imag + n.real * factor)


@njit(**OPTIONS)
def _begin(source: np.ndarray, table: Frequencies, s: np.ndarray) -> None:
    """The first v, from the transform of the states; it goes back to the grid."""
    distinct()
    for k in range(len(table.pairs)):
        f, mirror, turn, here = table.pairs[k, 0], table.pairs[k, 1], table.turns[k], BLOCK * k
        for j in range(LANES):
            v, w = _separated(source, f + j, mirror + j, turn)
            _store(s, here + STATE + j, v)
            _store(s, here + STATE + ROW + j, w)
            _join(v, w, turn, s, here + j)


@njit(**OPTIONS)
def _first_stage(source: np.ndarray, table: Frequencies, s: np.ndarray) -> None:
    """A = E2 v + Q N(v)."""
    distinct()
    for k in range(len(table.pairs)):
        f, mirror, turn, here = table.pairs[k, 0], table.pairs[k, 1], table.turns[k], BLOCK * k
        c = table.coefficients
        e_v, q_v, e_w, q_w = c[k, 0, E2], c[k, 0, Q], c[k, 1, E2], c[k, 1, Q]
        for j in range(LANES):
            n, m = _separated(source, f + j, mirror + j, turn)
            _store(s, here + NEXT + j, n)
            _store(s, here + NEXT + ROW + j, m)
            v = _plus_i(_load(s, here + STATE + j) * e_v, n, q_v)
            w = _plus_i(_load(s, here + STATE + ROW + j) * e_w, m, q_w)
            _join(v, w, turn, s, here + j)


@njit(**OPTIONS)
def _second_stage(source: np.ndarray, table: Frequencies, s: np.ndarray) -> None:
    """B = E2 v + Q N(a), E v + T N(v) for the third stage, and E v + F1 N(v) + F2 N(a) for the next v."""
    distinct()
    for k in range(len(table.pairs)):
        f, mirror, turn, here = table.pairs[k, 0], table.pairs[k, 1], table.turns[k], BLOCK * k
        c = table.coefficients
        for j in range(LANES):
            n, m = _separated(source, f + j, mirror + j, turn)
            v, first_n = _load(s, here + STATE + j), _load(s, here + NEXT + j)
            w, first_m = _load(s, here + STATE + ROW + j), _load(s, here + NEXT + ROW + j)
            _store(s, here + STATE + j, _plus_i(v * c[k, 0, E], first_n, c[k, 0, T]))
            _store(s, here + STATE + ROW + j, _plus_i(w * c[k, 1, E], first_m, c[k, 1, T]))
            n_so_far = _plus_i(v * c[k, 0, E], first_n, c[k, 0, F1])
            m_so_far = _plus_i(w * c[k, 1, E], first_m, c[k, 1, F1])
            _store(s, here + NEXT + j, _plus_i(n_so_far, n, c[k, 0, F2]))
            _store(s, here + NEXT + ROW + j, _plus_i(m_so_far, m, c[k, 1, F2]))
            v = _plus_i(v * c[k, 0, E2], n, c[k, 0, Q])
            w = _plus_i(w * c[k, 1, E2], m, c[k, 1, Q])
            _join(v, w, turn, s, here + j)


@njit(**OPTIONS)
def _third_stage(source: np.ndarray, table: Frequencies, s: np.ndarray) -> None:
    """C = E2 a + Q (2 N(b) - N(v)); F2 N(b) is added to the next v."""
    distinct()
    for k in range(len(table.pairs)):
        f, mirror, turn, here = table.pairs[k, 0], table.pairs[k, 1], table.turns[k], BLOCK * k
        c = table.coefficients
        q_v, f_v, q_w, f_w = c[k, 0, Q2], c[k, 0, F2], c[k, 1, Q2], c[k, 1, F2]
        for j in range(LANES):
            n, m = _separated(source, f + j, mirror + j, turn)
            _store(s, here + NEXT + j, _plus_i(_load(s, here + NEXT + j), n, f_v))
            _store(s, here + NEXT + ROW + j, _plus_i(_load(s, here + NEXT + ROW + j), m, f_w))
            v = _plus_i(_load(s, here + STATE + j), n, q_v)
            w = _plus_i(_load(s, here + STATE + ROW + j), m, q_w)
            _join(v, w, turn, s, here + j)


@njit(**OPTIONS)
def _last_stage(source: np.ndarray, table: Frequencies, s: np.ndarray) -> None:
    """The next v, to which F3 N(c) is added."""
    distinct()
    for k in range(len(table.pairs)):
        f, mirror, turn, here = table.pairs[k, 0], table.pairs[k, 1], table.turns[k], BLOCK * k
        f_v, f_w = table.coefficients[k, 0, F3], table.coefficients[k, 1, F3]
        for j in range(LANES):
            n, m = _separated(source, f + j, mirror + j, turn)
            v = _plus_i(_load(s, here + NEXT + j), n, f_v)
            w = _plus_i(_load(s, here + NEXT + ROW + j), m, f_w)
            _store(s, here + STATE + j, v)
            _store(s, here + STATE + ROW + j, w)
            _join(v, w, turn, s, here + j)


@njit(**OPTIONS)
def _squares(s: np.ndarray, t: Tables, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The transform of the squares, at grid points, of what is in OUT; a, b: room for two fields."""
    grid, other = _transform(s, 1, t.back, a, b)
    return _transform(grid, 2, t.there, other, grid)[0]


@njit(**OPTIONS)
def ks_cycle(states: np.ndarray, result: np.ndarray, steps: int, t: Tables) -> None:
    """Advance `states` (M, N) by `steps` steps into `result` (M, N).

    t: of `make_tables`, in the precision in which to compute.
    """
    count, size = states.shape
    table = t.frequencies
    a, b = aligned_room(size * LANES, table.coefficients), aligned_room(size * LANES, table.coefficients)
    s = aligned_room(len(table.pairs) * BLOCK, table.coefficients)
    scale = a.dtype.type(0.5 / size)
    for begin in range(0, count, LANES):
        for lane in range(LANES):
            state = states[min(begin + lane, count - 1)]  # surplus lanes repeat the last state
            for i in range(size // 2):
                a[i * ROW + LANES + lane], a[i * ROW + lane] = state[2 * i], state[2 * i + 1]
        _begin(_transform(a, 1, t.first, b, a)[0], table, s)
        for _ in range(steps):
            _first_stage(_squares(s, t, a, b), table, s)
            _second_stage(_squares(s, t, a, b), table, s)
            _third_stage(_squares(s, t, a, b), table, s)
            _last_stage(_squares(s, t, a, b), table, s)
        grid = _transform(s, 1, t.back, a, b)[0]
        for lane in range(min(LANES, count - begin)):
            state = result[begin + lane]
            for i in range(size // 2):
                row = t.order[i] + lane
                state[2 * i], state[2 * i + 1] = grid[row + LANES] * scale, grid[row] * scale
