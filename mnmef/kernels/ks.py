"""One cycle of the Kuramoto-Sivashinsky equation compiled for a CPU: seven times faster than array operations.

The transform of 128 real numbers is one of 64 complex ones, whose real and imaginary parts are the even and the odd
grid points, and a pass that separates the spectra of the two. The complex transform is three passes of radix 4. They
leave frequencies in digit-reversed order, in which the coefficients are stored and from which the inverse passes start:
nothing is reordered.

LANES states are advanced together, each in its own lane of the processor's vectors: a row of a field is one vector of
real and one of imaginary parts, so that no state sees its neighbors, and all fields stay in the first cache. The vector
instructions are asked for one by one, as the compiler's own attempt at the same loops takes twice the time. What
touches the same rows is one pass: the last inverse butterflies, squares and first butterflies; and the last
butterflies, separation of spectra, a stage of the Runge-Kutta scheme, joining and first inverse butterflies.
Differences are twice a term less the sum where a multiplication merges with them, which saves additions.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from mnmef.kernels.etd import etd_coefficients
from mnmef.kernels.lanes import OPTIONS, Lanes, Vectors, aligned_room, integer, state_reader, state_writer

SIZE = 128
ROWS = SIZE // 2
LANES = 16
"""States advanced together."""

FIELD = ROWS * LANES
"""From the real parts of a field to its imaginary parts."""

WORK, STATE, FORCING = 0, 2 * FIELD, 4 * FIELD
"""Offsets of the fields: what is transformed; v and from the second stage on what the third one starts from; N(v) / i
and from then on the next v, as far as it is known.
"""

E, E2, Q, Q2, T, F1, F2, F3 = range(8)
"""Places of a row's coefficients: those of `etd_coefficients`, less the factor i, and T = E2 Q - Q2 / 2."""
COEFFICIENTS = 8

PAIRS = (((0,), (1, 3), (2,)), ((0, 3), (1, 2)), ((0, 7), (1, 6), (2, 5), (3, 4)))
"""Which rows have mirrored frequencies. Four neighbors have frequencies f, f + 16, f + 32, f + 48: those of f = 0 (the
first row holds the two frequencies with a real spectrum, 0 and 64, and 32 is its own mirror image), those of f = 8, and
eight rows, those of f and of 16 - f.
"""

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

    def plus(self, other: "_Complex", factor: "_Complex") -> "_Complex":
        """Plus `other` times `factor`."""
        real = self.real + other.real * factor.real - other.imag * factor.imag
        return _Complex(real, self.imag + other.real * factor.imag + other.imag * factor.real)

    def turned_back(self, by: "_Complex") -> "_Complex":
        """Times the conjugate of `by`."""
        real = self.real * by.real + self.imag * by.imag
        return _Complex(real, self.imag * by.real - self.real * by.imag)

    def plus_turned_back(self, other: "_Complex", by: "_Complex") -> "_Complex":
        """Plus `other` times the conjugate of `by`."""
        real = self.real + other.real * by.real + other.imag * by.imag
        return _Complex(real, self.imag + other.imag * by.real - other.real * by.imag)

    def twice_less(self, total: "_Complex") -> "_Complex":
        """The difference of this number and another, given their `total`."""
        return _Complex(self.real * 2.0 - total.real, self.imag * 2.0 - total.imag)

    def mirrored(self) -> "_Complex":
        """Twice the conjugate."""
        return _Complex(self.real * 2.0, self.imag * -2.0)

    def ends(self) -> "_Complex":
        """Sum and difference of real and imaginary part."""
        return _Complex(self.real + self.imag, self.real - self.imag)

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


_read = state_reader(LANES, _place(WORK))
_write = state_writer(LANES, _place(WORK), 0.5 / SIZE)


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


def _inverse_butterfly(z: Sequence[_Complex], factors: Sequence[_Complex] = ()) -> list[_Complex]:
    """Of z turned back by the factors, if there are any, from the second one on."""
    if factors:
        second = z[1].turned_back(factors[0])
        p, u = z[0].plus_turned_back(z[2], factors[1]), second.plus_turned_back(z[3], factors[2])
        q, v = z[0].twice_less(p), second.twice_less(u)
    else:
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
        z = [memory[at, WORK] for at in rows]
        if inverse:
            z = _inverse_butterfly(z, factors)
        if inverse and forward:
            z = [_Complex(y.real * y.real, y.imag * y.imag) for y in z]
        if forward:
            z = _butterfly(z)
            z[1 : len(factors) + 1] = [y * t for y, t in zip(z[1:], factors, strict=False)]
        for at, y in zip(rows, z, strict=True):
            memory[at, WORK] = y

    return _operation(emit)


def _over_columns(**what: bool) -> Any:
    """A pass over rows 16 apart."""
    first, others = _pass(twiddles=False, **what), _pass(**what)  # the first row's factors are one

    @njit(inline="always")
    def over_columns(s: np.ndarray, twiddles: np.ndarray) -> None:
        first(s, 0, 16 * LANES, twiddles, 0)
        for k in range(1, 16):
            others(s, k * LANES, 16 * LANES, twiddles, 6 * k)

    return over_columns


def _over_blocks(**what: bool) -> Any:
    """A pass over rows 4 apart, in each block of 16 rows."""
    first, others = _pass(twiddles=False, **what), _pass(**what)

    @njit(inline="always")
    def over_blocks(s: np.ndarray, twiddles: np.ndarray) -> None:
        for row in range(0, ROWS, 16):
            first(s, row * LANES, 4 * LANES, twiddles, 0)
            for k in range(1, 4):
                others(s, (row + k) * LANES, 4 * LANES, twiddles, 6 * k)

    return over_blocks


_forward_columns, _inverse_columns = _over_columns(forward=True), _over_columns(inverse=True)
_square_columns = _over_columns(inverse=True, forward=True)
_forward_blocks, _inverse_blocks = _over_blocks(forward=True), _over_blocks(inverse=True)


def _separated(z: Sequence[_Complex], turn: _Complex, is_first: bool) -> list[_Complex]:
    """Twice the spectra of real signals, from those of their even and odd points as one complex signal, in two rows of
    mirrored frequencies or in one without a mirror image.
    """
    if len(z) == 1:
        return [z[0].ends() * 2.0 if is_first else z[0].mirrored()]
    y, mirror = z
    even = _Complex(y.real + mirror.real, y.imag - mirror.imag)
    v = even.plus(_Complex(y.imag + mirror.imag, mirror.real - y.real), turn)
    return [v, _Complex(even.real * 2.0 - v.real, v.imag - even.imag * 2.0)]


def _joined(v: Sequence[_Complex], turn: _Complex, is_first: bool) -> list[_Complex]:
    """The inverse of `_separated`, times 4."""
    if len(v) == 1:
        return [v[0].ends() if is_first else v[0].mirrored()]
    y, mirror = v
    even = _Complex(y.real + mirror.real, y.imag - mirror.imag)
    odd_real, odd_imag = y.real - mirror.real, y.imag + mirror.imag
    real = even.real + odd_real * turn.imag - odd_imag * turn.real
    z = _Complex(real, even.imag + odd_real * turn.real + odd_imag * turn.imag)
    return [z, _Complex(even.real * 2.0 - z.real, z.imag - even.imag * 2.0)]


Stage = Callable[[_Memory, Any, _Complex, Sequence[Lanes]], _Complex]
"""Of the memory, a row, twice the spectrum there and the row's coefficients: what goes back to the grid."""


def _begin(memory: _Memory, row: Any, v: _Complex, c: Sequence[Lanes]) -> _Complex:
    memory[row, STATE] = v
    return v


def _first_stage(memory: _Memory, row: Any, n: _Complex, c: Sequence[Lanes]) -> _Complex:
    memory[row, FORCING] = n
    return (memory[row, STATE] * c[E2]).plus_i(n, c[Q])


def _second_stage(memory: _Memory, row: Any, n: _Complex, c: Sequence[Lanes]) -> _Complex:
    v, first = memory[row, STATE], memory[row, FORCING]
    decayed = v * c[E]
    memory[row, STATE] = decayed.plus_i(first, c[T])
    memory[row, FORCING] = decayed.plus_i(first, c[F1]).plus_i(n, c[F2])
    return (v * c[E2]).plus_i(n, c[Q])


def _third_stage(memory: _Memory, row: Any, n: _Complex, c: Sequence[Lanes]) -> _Complex:
    memory[row, FORCING] = memory[row, FORCING].plus_i(n, c[F2])
    return memory[row, STATE].plus_i(n, c[Q2])


def _last_stage(memory: _Memory, row: Any, n: _Complex, c: Sequence[Lanes]) -> _Complex:
    v = memory[row, FORCING].plus_i(n, c[F3])
    memory[row, STATE] = v
    return v


def _spectral(stage: Stage, kind: int) -> Any:
    """The last butterflies, a stage of the scheme and the first inverse butterflies, on four rows from each of two on,
    of which the second counts if the `kind` of `PAIRS` has eight.
    """

    def emit(memory: _Memory, a: Any, b: Any) -> None:
        firsts = [a, b] if kind == len(PAIRS) - 1 else [a]
        rows = [memory.add(first, integer(n * LANES)) for first in firsts for n in range(4)]
        groups = [slice(n, n + 4) for n in range(0, len(rows), 4)]
        z = [y for group in groups for y in _butterfly([memory[row, WORK] for row in rows[group]])]
        place = 0
        for pair in PAIRS[kind]:
            turn, stages, is_first = memory.complex(place), [], pair == (0,)
            place += 2
            for i, n in zip(pair, _separated([z[i] for i in pair], turn, is_first), strict=True):
                coefficients = [memory.number(place + k) for k in range(COEFFICIENTS)]
                stages.append(stage(memory, rows[i], n, coefficients))
                place += COEFFICIENTS
            for i, y in zip(pair, _joined(stages, turn, is_first), strict=True):
                z[i] = y
        for group in groups:
            for row, y in zip(rows[group], _inverse_butterfly(z[group]), strict=True):
                memory[row, WORK] = y

    return _operation(emit)


def _over_rows(stage: Stage) -> Any:
    """A compiled function that does `_spectral` to all rows."""
    zero, eight, others = (_spectral(stage, kind) for kind in range(len(PAIRS)))

    @njit(inline="always")
    def over_rows(s: np.ndarray, groups: np.ndarray, numbers: np.ndarray) -> None:
        zero(s, groups[0, 0] * LANES, 0, numbers, groups[0, 2])
        eight(s, groups[1, 0] * LANES, 0, numbers, groups[1, 2])
        for n in range(2, len(groups)):
            others(s, groups[n, 0] * LANES, groups[n, 1] * LANES, numbers, groups[n, 2])

    return over_rows


_begin_rows = _over_rows(_begin)
_first_rows = _over_rows(_first_stage)
_second_rows = _over_rows(_second_stage)
_third_rows = _over_rows(_third_stage)
_last_rows = _over_rows(_last_stage)


@njit(**OPTIONS)
def _squares(s: np.ndarray, tables: Tables) -> None:
    """Between two spectral passes: the signals' squares, times 2 * 128^2."""
    _inverse_blocks(s, tables[1])
    _square_columns(s, tables[0])
    _forward_blocks(s, tables[1])


@njit(**OPTIONS)
def ks_cycle(states: np.ndarray, result: np.ndarray, steps: int, tables: Tables) -> None:
    """Advance `states` (M, 128) by `steps` ETD-RK4 steps into `result` (M, 128).

    tables: of `make_tables`, in the precision in which to compute.
    """
    count = states.shape[0]
    groups, numbers = tables[2:]
    s = aligned_room(6 * FIELD, LANES, numbers)
    for begin in range(0, count, LANES):
        for column in range(0, SIZE, LANES):
            _read(states, s, begin, count - 1, SIZE, column)
        _forward_columns(s, tables[0])
        _forward_blocks(s, tables[1])
        _begin_rows(s, groups, numbers)
        for _ in range(steps):
            _squares(s, tables)
            _first_rows(s, groups, numbers)
            _squares(s, tables)
            _second_rows(s, groups, numbers)
            _squares(s, tables)
            _third_rows(s, groups, numbers)
            _squares(s, tables)
            _last_rows(s, groups, numbers)
        _inverse_blocks(s, tables[1])
        _inverse_columns(s, tables[0])
        for column in range(0, SIZE, LANES):
            _write(result, s, begin, count - 1, SIZE, column)


@cache
def make_tables(precision: str, size: int, step_size: float) -> Tables:
    """What `ks_cycle` needs, in the `precision` in which it is to compute, such as "float32".

    Twiddle factors of the passes over rows 16 and 4 apart (those of neighbors are one); for each of the groups of rows
    that are worked on together, with the kinds of `PAIRS`, their first rows and where their numbers begin (9, 3); and
    the numbers: for each pair a half turn and the coefficients of its rows.
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
    e, e2, *forced = (half[frequency] for half in etd_coefficients(size, step_size))
    # Squares arrive times 256^2, spectra being kept times 2; their multipliers are imaginary.
    q, q2, *weights = (half.imag / (2 * SIZE) ** 2 for half in forced)
    coefficients = np.stack([e, e2, q, q2, e2 * q - q2 / 2, *weights], -1)
    groups: list[tuple[int, int, int]] = []
    numbers: list[float] = []
    for f, kind in ((0, 0), (8, 1), *((f, 2) for f in range(1, 8))):
        begins = row[f], row[-f % 16]
        groups.append((*begins, len(numbers)))
        for pair in PAIRS[kind]:
            members = [begins[i // 4] + i % 4 for i in pair]
            turn = np.exp(-2j * np.pi * frequency[members[0]] / SIZE)
            numbers += [turn.real, turn.imag, *coefficients[members].ravel()]
    return twiddles[0], twiddles[1], np.array(groups), np.array(numbers).astype(precision)
