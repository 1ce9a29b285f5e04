"""One cycle of the Kuramoto-Sivashinsky equation compiled for a CPU: ten times faster than array operations.

The transform of 128 real numbers is one of 64 complex ones, whose real and imaginary parts are the even and the odd
grid points, and a pass that separates the spectra of the two. The complex transform is three passes of radix 4. They
leave frequencies in digit-reversed order, in which the coefficients are stored and from which the inverse passes start:
nothing is reordered. The first row holds the two frequencies with a real spectrum, 0 and 64; both have wave number zero
(see `KuramotoSivashinsky`), so that one coefficient serves both.

LANES states are advanced together, each in its own lane of the processor's vectors: a row of a field is one vector of
real and one of imaginary parts, so that no state sees its neighbors, and all fields stay in the first cache. The vector
instructions are asked for one by one, as the compiler's own attempt at the same loops takes twice the time. What
touches the same rows is one pass: the last inverse butterflies, squares and first butterflies; and the separation of
spectra, a stage of the Runge-Kutta scheme and the joining for the next one.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from mnmef.lanes import OPTIONS, Lanes, Vectors, aligned_room, integer, state_reader, state_writer
from mnmef.systems.etd import etd_coefficients

SIZE = 128
ROWS = SIZE // 2
LANES = 16
"""States advanced together."""

FIELD = ROWS * LANES
"""From the real parts of a field to its imaginary parts."""

NOW, STAGE, NEXT, START, FIRST = 0, 2 * FIELD, 4 * FIELD, 6 * FIELD, 8 * FIELD
"""Offsets of the fields: spectra of v; of a stage, joined; of the next v; of squares of v; of the first stage."""

COEFFICIENTS = 7
"""Of a row: e, e2, q, q2, f1, f2, f3."""

Tables = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class _Complex:
    """A complex number for each lane."""

    def __init__(self, real: Lanes, imag: Lanes) -> None:
        self.real, self.imag = real, imag

    def __add__(self, other: "_Complex") -> "_Complex":
        return _Complex(self.real + other.real, self.imag + other.imag)

    def __sub__(self, other: "_Complex") -> "_Complex":
        return _Complex(self.real - other.real, self.imag - other.imag)

    def __mul__(self, factor: "_Complex | Lanes | float") -> "_Complex":
        if not isinstance(factor, _Complex):
            return _Complex(self.real * factor, self.imag * factor)
        real = self.real * factor.real - self.imag * factor.imag
        return _Complex(real, self.real * factor.imag + self.imag * factor.real)

    def turned_back(self, by: "_Complex") -> "_Complex":
        """Times the conjugate of `by`."""
        real = self.real * by.real + self.imag * by.imag
        return _Complex(real, self.imag * by.real - self.real * by.imag)

    def plus_i(self, other: "_Complex", factor: Lanes | None = None) -> "_Complex":
        """Plus i times `factor` times `other`."""
        re, im = (other.real, other.imag) if factor is None else (other.real * factor, other.imag * factor)
        return _Complex(self.real - im, self.imag + re)

    def minus_i(self, other: "_Complex") -> "_Complex":
        """Minus i times `other`."""
        return _Complex(self.real + other.imag, self.imag - other.real)


class _Memory:
    """The fields, by flat index and offset of the field, and numbers of a table from a flat index on."""

    def __init__(self, fields: Vectors, table: Vectors) -> None:
        self.fields, self.table, self.add = fields, table, fields.builder.add

    def __getitem__(self, place: tuple[Any, int]) -> _Complex:
        row, field = place
        return _Complex(*(self.fields.load(self.add(row, integer(field + part))) for part in (0, FIELD)))

    def __setitem__(self, place: tuple[Any, int], number: _Complex) -> None:
        row, field = place
        self.fields.store(number.real, self.add(row, integer(field)))
        self.fields.store(number.imag, self.add(row, integer(field + FIELD)))

    def number(self, n: int) -> Lanes:
        """The n-th number of the table, in all lanes."""
        return self.table.repeat(n)

    def complex(self, n: int) -> _Complex:
        """The complex number whose real part is the n-th one of the table."""
        return _Complex(self.number(n), self.number(n + 1))


def _place(field: int) -> Callable[[Any, Any, int], Any]:
    """Where a grid point goes: even ones are real parts, odd ones imaginary parts."""

    def place(builder: Any, column: Any, n: int) -> Any:
        begin = builder.mul(column, integer(LANES // 2))
        return builder.add(begin, integer(field + n // 2 * LANES + n % 2 * FIELD))

    return place


_read = state_reader(LANES, _place(NOW))
_write = state_writer(LANES, _place(START), 0.5 / SIZE)


def _operation(emit: Callable[[_Memory, Any, Any], None]) -> Any:
    """An operation for compiled functions: of fields, two integers (rows, or a row and a distance), a table and where
    in it to begin.
    """

    @intrinsic
    def operation(_typing, fields, a, b, table, begin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            places = (0, integer(0)), (3, values[4])
            memory = _Memory(*(Vectors(context, builder, signature.args[n], values[n], at, LANES) for n, at in places))
            emit(memory, values[1], values[2])
            return context.get_dummy_value()

        return types.void(fields, types.intp, types.intp, table, types.intp), generate

    return operation


def _butterfly(z: Sequence[_Complex]) -> list[_Complex]:
    p, q, u, v = z[0] + z[2], z[0] - z[2], z[1] + z[3], z[1] - z[3]
    return [p + u, q.minus_i(v), p - u, q.plus_i(v)]


def _inverse_butterfly(z: Sequence[_Complex]) -> list[_Complex]:
    p, q, u, v = z[0] + z[2], z[0] - z[2], z[1] + z[3], z[1] - z[3]
    return [p + u, q.plus_i(v), p - u, q.minus_i(v)]


def _pass(*, inverse: bool = False, forward: bool = False, twiddles: bool = True) -> Any:
    """Inverse butterflies of radix 4 on a row and the three at multiples of a distance from it, or butterflies, or the
    former, squares of real and imaginary parts, and the latter. The inverse ones multiply by 4.
    """

    def emit(memory: _Memory, row: Any, distance: Any) -> None:
        rows = [row]
        for _ in range(3):
            rows.append(memory.add(rows[-1], distance))
        factors = [memory.complex(2 * n) for n in range(3 if twiddles else 0)]
        z = [memory[at, 0] for at in rows]
        if inverse:
            z[1 : len(factors) + 1] = [y.turned_back(t) for y, t in zip(z[1:], factors, strict=False)]
            z = _inverse_butterfly(z)
        if inverse and forward:
            z = [_Complex(y.real * y.real, y.imag * y.imag) for y in z]
        if forward:
            z = _butterfly(z)
            z[1 : len(factors) + 1] = [y * t for y, t in zip(z[1:], factors, strict=False)]
        for at, y in zip(rows, z, strict=True):
            memory[at, 0] = y

    return _operation(emit)


_forward = _pass(forward=True)
_forward_last = _pass(forward=True, twiddles=False)
_inverse = _pass(inverse=True)
_inverse_first = _pass(inverse=True, twiddles=False)
_square = _pass(inverse=True, forward=True)


def _separated(memory: _Memory, rows: Sequence[Any], field: int) -> list[_Complex]:
    """Twice the spectra of real signals, from those of their even and odd points as one complex signal, in two rows of
    mirrored frequencies or in the first one.
    """
    if len(rows) == 1:
        z = memory[rows[0], field]
        return [_Complex(z.real + z.imag, z.real - z.imag) * 2.0]
    y, z = (memory[row, field] for row in rows)
    even = _Complex(y.real + z.real, y.imag - z.imag)
    odd = _Complex(y.imag + z.imag, z.real - y.real) * memory.complex(0)
    return [even + odd, _Complex(even.real - odd.real, odd.imag - even.imag)]


def _join(memory: _Memory, rows: Sequence[Any], field: int, spectra: Sequence[_Complex]) -> None:
    """Store the inverse of `_separated`, times 4."""
    if len(rows) == 1:
        z = spectra[0]
        memory[rows[0], field] = _Complex(z.real + z.imag, z.real - z.imag)
        return
    y, z = spectra
    even = _Complex(y.real + z.real, y.imag - z.imag)
    odd = _Complex(y.real - z.real, y.imag + z.imag).turned_back(memory.complex(0))
    memory[rows[0], field] = even.plus_i(odd)
    memory[rows[1], field] = _Complex(even.real + odd.imag, odd.real - even.imag)


def _coefficients(memory: _Memory, rows: Sequence[Any]) -> list[list[Lanes]]:
    """Those of each row."""
    return [[memory.number(2 + COEFFICIENTS * r + n) for n in range(COEFFICIENTS)] for r in range(len(rows))]


def _begin(memory: _Memory, rows: Sequence[Any]) -> None:
    spectra = _separated(memory, rows, NOW)
    for row, v in zip(rows, spectra, strict=True):
        memory[row, NOW] = v
    _join(memory, rows, START, spectra)


def _first_stage(memory: _Memory, rows: Sequence[Any]) -> None:
    stages = []
    forcing = _separated(memory, rows, START)
    for row, n, (e, e2, q, _q2, f1, _f2, _f3) in zip(rows, forcing, _coefficients(memory, rows), strict=True):
        v = memory[row, NOW]
        stages.append((v * e2).plus_i(n, q))
        memory[row, START], memory[row, FIRST], memory[row, NEXT] = n, stages[-1], (v * e).plus_i(n, f1)
    _join(memory, rows, STAGE, stages)


def _middle_stage(base: int, *, third: bool) -> Callable[[_Memory, Sequence[Any]], None]:
    """The second stage, which starts from field `base`, or the third one, whose forcing is less half that of START."""

    def emit(memory: _Memory, rows: Sequence[Any]) -> None:
        stages = []
        following = [memory[row, NEXT] for row in rows]  # both are read first: a row may be its own mirror image
        forcing = _separated(memory, rows, STAGE)
        for row, v, n, coefficients in zip(rows, following, forcing, _coefficients(memory, rows), strict=True):
            _e, e2, q, q2, _f1, f2, _f3 = coefficients
            memory[row, NEXT] = v.plus_i(n, f2)
            start = memory[row, base] * e2
            stages.append(start.plus_i(n - memory[row, START] * 0.5, q2) if third else start.plus_i(n, q))
        _join(memory, rows, STAGE, stages)

    return emit


def _last_stage(memory: _Memory, rows: Sequence[Any]) -> None:
    spectra = []
    forcing = _separated(memory, rows, STAGE)
    for row, n, coefficients in zip(rows, forcing, _coefficients(memory, rows), strict=True):
        spectra.append(memory[row, NEXT].plus_i(n, coefficients[-1]))
        memory[row, NOW] = spectra[-1]
    _join(memory, rows, START, spectra)


def _over_rows(emit: Callable[[_Memory, Sequence[Any]], None]) -> Any:
    """A compiled function that does something to all rows of the fields, mirrored ones together."""
    alone = _operation(lambda memory, a, _b: emit(memory, [a]))
    paired = _operation(lambda memory, a, b: emit(memory, [a, b]))

    @njit(inline="always")
    def over_rows(s: np.ndarray, mirror: np.ndarray, numbers: np.ndarray) -> None:
        alone(s, 0, 0, numbers, 0)
        for pair in range(1, len(mirror)):
            paired(s, mirror[pair, 0] * LANES, mirror[pair, 1] * LANES, numbers, pair * (2 + 2 * COEFFICIENTS))

    return over_rows


_begin_rows = _over_rows(_begin)
_first_rows = _over_rows(_first_stage)
_second_rows = _over_rows(_middle_stage(NOW, third=False))
_third_rows = _over_rows(_middle_stage(FIRST, third=True))
_last_rows = _over_rows(_last_stage)


@njit(inline="always")
def _first_passes(s: np.ndarray, field: int, tables: Tables) -> None:
    """Joined spectra in `field`, but for the last inverse pass."""
    for row in range(0, ROWS, 4):
        _inverse_first(s, field + row * LANES, LANES, tables[1], 0)
    for row in range(0, ROWS, 16):
        for k in range(4):
            _inverse(s, field + (row + k) * LANES, 4 * LANES, tables[1], 6 * k)


@njit(inline="always")
def _last_passes(s: np.ndarray, field: int, tables: Tables) -> None:
    """Signals in `field` after the first pass, to spectra that are still to be separated."""
    for row in range(0, ROWS, 16):
        for k in range(4):
            _forward(s, field + (row + k) * LANES, 4 * LANES, tables[1], 6 * k)
    for row in range(0, ROWS, 4):
        _forward_last(s, field + row * LANES, LANES, tables[1], 0)


@njit(**OPTIONS)
def _squares(s: np.ndarray, field: int, tables: Tables) -> None:
    """Replace joined spectra in `field` by those of the signals' squares, times 2 * 128^2, still to be separated."""
    _first_passes(s, field, tables)
    for k in range(16):
        _square(s, field + k * LANES, 16 * LANES, tables[0], 6 * k)
    _last_passes(s, field, tables)


@njit(**OPTIONS)
def ks_cycle(states: np.ndarray, result: np.ndarray, steps: int, tables: Tables) -> None:
    """Advance `states` (M, 128) by `steps` ETD-RK4 steps into `result` (M, 128).

    tables: of `make_tables`, in the precision in which to compute.
    """
    count = states.shape[0]
    mirror, numbers = tables[2:]
    s = aligned_room(10 * FIELD, LANES, numbers)
    for begin in range(0, count, LANES):
        for column in range(0, SIZE, LANES):
            _read(states, s, begin, count - 1, SIZE, column)
        for k in range(16):
            _forward(s, NOW + k * LANES, 16 * LANES, tables[0], 6 * k)
        _last_passes(s, NOW, tables)
        _begin_rows(s, mirror, numbers)
        for _ in range(steps):
            _squares(s, START, tables)
            _first_rows(s, mirror, numbers)
            _squares(s, STAGE, tables)
            _second_rows(s, mirror, numbers)
            _squares(s, STAGE, tables)
            _third_rows(s, mirror, numbers)
            _squares(s, STAGE, tables)
            _last_rows(s, mirror, numbers)
        _first_passes(s, START, tables)
        for k in range(16):
            _inverse(s, START + k * LANES, 16 * LANES, tables[0], 6 * k)
        for column in range(0, SIZE, LANES):
            _write(result, s, begin, count - 1, SIZE, column)


@cache
def make_tables(precision: str, size: int, step_size: float) -> Tables:
    """What `ks_cycle` needs, in the `precision` in which it is to compute, such as "float32".

    Twiddle factors of the passes over rows 16 and 4 apart (those of neighbors are one); the first row and the pairs of
    rows with mirrored frequencies (33, 2); for each of these, half turn and coefficients of both rows (33, 16).
    Raises `ValueError` for a `size` other than 128, which the passes are written for.
    """
    if size != SIZE:
        raise ValueError(f"the compiled cycle is for {SIZE} grid points, not {size}")
    twiddles = []
    for span in (16, 4):
        factors = np.exp(-2j * np.pi * np.arange(span)[:, None] * np.arange(1, 4) / (4 * span))
        twiddles.append(np.stack([factors.real, factors.imag], -1).ravel().astype(precision))
    # The digits of a row, in base 4, are those of its frequency in reverse.
    first, second, third = np.unravel_index(np.arange(ROWS), (4, 4, 4))
    frequency = first + 4 * second + 16 * third
    row = np.argsort(frequency)
    low = np.arange(ROWS // 2 + 1)  # the last of them, 32, is its own mirror image
    mirror = np.stack([row[low], row[-low]], -1)
    turn = np.exp(-2j * np.pi * low / SIZE)
    e, e2, *forced = (half[frequency] for half in etd_coefficients(size, step_size))
    # Squares arrive times 256^2, spectra being kept times 2; their multipliers are imaginary.
    coefficients = np.stack([e, e2, *(half.imag / (2 * SIZE) ** 2 for half in forced)], -1)
    numbers = np.column_stack([turn.real, turn.imag, *(coefficients[rows] for rows in mirror.T)])
    return twiddles[0], twiddles[1], mirror, numbers.ravel().astype(precision)
