"""Square-root transforms of many small problems at once, without eigenvectors: `(1 - (1 + C)^-1/2) / C` applied to a
vector.

Every matrix is made tridiagonal by Householder reflections that send the vector to the first unit vector; the function,
written as a sum of shifted inverses, then costs one pass over the diagonals per shift. The batch is the last dimension,
so that
each operation is an elementwise one over the batch: some hundred of them do what LAPACK does matrix by matrix.
"""

from functools import cache

import numpy as np
import torch
from scipy.special import ellipj, ellipkm1
from torch import Tensor

USUAL_BOUND, EXTREME_BOUND = 4.0**6, 4.0**15
"""Largest eigenvalue of `1 + C` for which the usual and the large number of shifts reach working precision."""

SHIFTS = {torch.float64: (22, 44), torch.float32: (11, 24)}
"""Number of shifts up to the usual and the extreme bound."""


@cache
def deficit_quadrature(shifts: int, bound: float) -> tuple[np.ndarray, np.ndarray]:
    """Shifts t and weights w (shifts,) such that `sum w / (c + 1 + t)` is `(1 - (1 + c)^-1/2) / c` for c from 0 to
    `bound` - 1.

    The trapezoidal rule on `2/pi integral_0^inf ds / ((1 + s^2) (1 + c + s^2))` after `s = sc(u)`, as Hale, Higham and
    Trefethen (2008) do for the inverse square root. The error falls geometrically, with a rate that only the logarithm
    of `bound` slows.
    """
    spacing = ellipkm1(1.0 / bound) / shifts
    sn, cn, dn, _ = ellipj((np.arange(shifts) + 0.5) * spacing, 1.0 - 1.0 / bound)
    return (sn / cn) ** 2, 2.0 / np.pi * spacing * dn


def transform_local(gram: Tensor, vector: Tensor, probe: Tensor) -> tuple[Tensor, Tensor]:
    """`g(C) u` (p, M) and `e' (1 + C)^-1 u` (M,) for matrices C (p, p, M), vectors u and probes e (p, M).

    C symmetric positive semi-definite, `g(c) = (1 - (1 + c)^-1/2) / c`. Overwrites C. Where an entry is not finite so
    is the result.
    """
    trace = torch.diagonal(gram).sum(-1)
    usual, extreme = SHIFTS.get(gram.dtype, SHIFTS[torch.float32])
    rare = (~(trace < USUAL_BOUND)).nonzero().squeeze(-1)
    rare_gram = gram.index_select(-1, rare)
    deficit, product = _transform(gram, vector, probe, usual, USUAL_BOUND)
    if len(rare):
        deficit[:, rare], product[rare] = _transform(rare_gram, vector[:, rare], probe[:, rare], extreme, EXTREME_BOUND)
    return deficit, product


def _transform(gram: Tensor, vector: Tensor, probe: Tensor, shifts: int, bound: float) -> tuple[Tensor, Tensor]:
    t, w = deficit_quadrature(shifts, bound)
    off, reflectors = tridiagonalize(gram, vector)
    # The first shift stands for (1 + C)^-1 itself.
    shift = torch.as_tensor(np.append(1.0, 1.0 + t)).to(gram).unsqueeze(-1)
    columns = shifted_inverses(torch.diagonal(gram).mT, off, shift)  # (p, shifts + 1, M)
    deficit = torch.as_tensor(w).to(gram) @ columns[:, 1:]
    inverse = columns[:, 0]
    for k in range(len(reflectors) - 1, -1, -1):
        v = reflectors[k]
        deficit[k:].addcmul_(v, (v * deficit[k:]).sum(0), value=-1)
    probe = probe.clone()
    for k, v in enumerate(reflectors):
        probe[k:].addcmul_(v, (v * probe[k:]).sum(0), value=-1)
    return deficit, (probe * inverse).sum(0)


def tridiagonalize(matrix: Tensor, vector: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Make symmetric matrices (p, p, M) tridiagonal in place by an orthogonal Q whose first column is along `vector`
    (p, M).

    Returns p off-diagonals (M,), the first being the length of the vector along that column (up to sign), and the p - 1
    reflectors v (p - k, M) of `Q = H_0 H_1 ...`, where `H_k = 1 - v v'` acts on components k and following.
    """
    off, reflectors = [], []
    x = vector
    for k in range(len(vector) - 1):
        v = x.clone()
        length = torch.copysign((v * v).sum(0).sqrt(), v[0])
        v[0] += length
        square = length * v[0]  # half of v'v
        v *= torch.where(square > 0, square.rsqrt(), 0.0)
        rest = matrix[k:, k:]
        w = (rest * v).sum(1)
        w.addcmul_(v, (v * w).sum(0), value=-0.5)
        rest.addcmul_(v.unsqueeze(1), w, value=-1).addcmul_(w.unsqueeze(1), v, value=-1)
        off.append(-length)
        reflectors.append(v)
        x = matrix[k + 1 :, k]
    return [*off, x[0]], reflectors


def shifted_inverses(diagonal: Tensor, off: list[Tensor], shifts: Tensor) -> Tensor:
    """First columns (p, s, M) of `off[0] (T + shift)^-1`, T tridiagonal with the diagonal (p, M) and off-diagonals
    off[1:]; shifts (s, 1).
    """
    size = len(off)
    columns = diagonal.new_empty(size, len(shifts), diagonal.shape[-1])
    # Elimination from the last row upwards; each ratio waits in the place of the entry that it gives.
    pivot = diagonal[-1] + shifts
    for j in range(size - 1, 0, -1):
        torch.div(off[j], pivot, out=columns[j])
        pivot = torch.addcmul(diagonal[j - 1] + shifts, columns[j], off[j], value=-1)
    torch.div(off[0], pivot, out=columns[0])
    for j in range(1, size):
        columns[j].mul_(columns[j - 1]).neg_()
    return columns
