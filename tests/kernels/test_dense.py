"""Dense layers by oneDNN against torch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from mnmef.core.threads import torch_threads
from mnmef.kernels import dense
from mnmef.kernels.dense import FEW, Linear, linear
from mnmef.systems.base import HAS_NUMBA

if HAS_NUMBA:
    from mnmef.kernels.outer import outer_sum

needs_onednn = pytest.mark.skipif(not dense.HAS_ONEDNN, reason="a CPU without AVX-512 has torch's layers alone")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@needs_onednn
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 64), (64, 192), (60, 64), (64, 3), (1024, 128)])
@pytest.mark.parametrize("is_biased", [True, False])
@pytest.mark.parametrize("is_rectified", [True, False])
def test_values_and_gradients_are_those_of_double_precision(inputs, outputs, is_biased, is_rectified):
    x, weight = draw(FEW, 2, inputs).requires_grad_(), draw(outputs, inputs, seed=1).requires_grad_()
    bias = draw(outputs, seed=2).requires_grad_() if is_biased else None
    given = [t for t in (x, weight, bias) if t is not None]
    upstream = draw(FEW, 2, outputs, seed=3)
    result = linear(x, weight, bias, is_rectified=is_rectified)
    assert "_Linear" in type(result.grad_fn).__name__
    expected = functional.linear(*(t if t is None else t.double() for t in (x, weight, bias)))
    # Where rounding decides about the sign, the gradient may be either.
    upstream = torch.where(expected.abs() < 1e-4, 0.0, upstream) if is_rectified else upstream
    expected = expected.relu() if is_rectified else expected
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-3)
    for mine, exact in zip(
        torch.autograd.grad(result, given, upstream),
        torch.autograd.grad(expected, given, upstream.double()),
        strict=True,
    ):
        torch.testing.assert_close(mine, exact, rtol=1e-4, atol=2e-3)


@needs_onednn
def test_columns_of_larger_arrays_and_gradients_of_means_are_as_good():
    x, weight = draw(2 * FEW, 100), draw(64, 188, seed=1).requires_grad_()
    linear(x[:, :64], weight[:, :64]).mean().backward()
    mine, weight.grad = weight.grad, None
    functional.linear(x[:, :64], weight[:, :64]).mean().backward()
    torch.testing.assert_close(mine, weight.grad)


@needs_onednn
def test_few_rows_and_double_precision_are_left_to_torch():
    weight = draw(64, 64).requires_grad_()
    for inputs in (draw(FEW, 64), draw(4 * FEW, 64).double()):
        assert "_Linear" not in type(linear(inputs, weight.to(inputs.dtype)).grad_fn).__name__


def test_a_frozen_weight_gets_no_gradient():
    layer = Linear(64, 64).requires_grad_(False)
    x = draw(2 * FEW, 64).requires_grad_()
    layer(x).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand_as(x))


@pytest.mark.skipif(not HAS_NUMBA, reason="the kernel is numba's")
@pytest.mark.parametrize(("size", "rows", "columns"), [(1, 4, 64), (64, 60, 64), (777, 12, 192)])
@pytest.mark.parametrize("threads", [1, 3])
def test_sums_of_outer_products_are_those_of_numpy_and_the_same_on_any_number_of_threads(size, rows, columns, threads):
    left, right = draw(size, rows).numpy(), draw(size, columns, seed=1).numpy()
    with torch_threads(threads):
        mine = outer_sum(left, right)
    np.testing.assert_allclose(mine, left.T.astype(float) @ right, atol=1e-6 * size)
    with torch_threads(1):
        assert (outer_sum(left, right) == mine).all()


def test_threads_are_as_many_as_before_afterwards_also_after_an_error():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(ZeroDivisionError), torch_threads(before + 1):
        _ = 1 / 0
    assert torch.get_num_threads() == before
