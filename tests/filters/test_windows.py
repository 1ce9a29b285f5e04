"""Windows of periodic lines and squares: what each point sees, the transpose, distances."""

import numpy as np
import pytest
import torch

from mnmef.filters.windows import Window

WINDOWS = [Window((12,), 3), Window((12,), 3, 3), Window((12,), 2, 4), Window((8, 8), 1), Window((12, 12), 3, 4)]


def ids(window):
    return f"{len(window.shape)}D-reach{window.reach}-every{window.every}"


@pytest.fixture(params=WINDOWS, ids=ids)
def window(request):
    return request.param


def fields(window, seed=0):
    """Random fields (D, 2, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(int(np.prod(window.shape)), 2, 3, generator=generator, dtype=torch.float64)


def seen_by_definition(window, values):
    """What each point sees (D, p, ...), one point and one site after another."""
    grid = np.arange(len(values)).reshape(window.shape)
    rows = []
    for point in np.ndindex(*window.shape):
        cell = np.array(point) // window.every
        sites = [
            tuple((window.every * (cell + offset)) % np.array(window.shape)) for offset in map(np.array, window.offsets)
        ]
        rows.append(values[[int(grid[site]) for site in sites]])
    return torch.stack(rows)


def test_each_point_sees_the_sites_of_its_window(window):
    values = fields(window)
    assert torch.equal(window.gather(values), seen_by_definition(window, values).movedim(1, 2))


def test_all_sites_in_reach_are_in_the_window(window):
    distances = window.distances()[window.places()]
    sites = np.zeros(window.shape, dtype=bool)
    sites[tuple(slice(None, None, window.every) for _ in window.shape)] = True
    for point, at in enumerate(np.ndindex(*window.shape)):
        gap = np.abs(np.argwhere(sites) - np.array(at))
        gap = np.minimum(gap, np.array(window.shape) - gap)
        near = np.linalg.norm(gap[gap.max(1) <= window.reach], axis=1)
        assert set(np.round(near, 9)) <= set(np.round(distances[point], 9))
    assert window.fits
    assert not Window(window.shape, max(window.shape), window.every).fits


def test_the_margins_go_back_to_the_sites_that_they_are_copies_of(window):
    values, other = fields(window), fields(window, 1)
    padded = window.pad(values)
    cotangent = torch.randn(padded.shape, dtype=torch.float64)
    # <pad(x), y> = <x, unpad(y)> for all x and y.
    for given in (values, other):
        left = (window.pad(given) * cotangent).sum()
        torch.testing.assert_close(left, (given * window.unpad(cotangent)).sum())


def test_scattering_is_the_transpose_of_gathering(window):
    values = fields(window)
    seen = window.gather(values)
    weights = torch.randn(seen.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close((seen * weights).sum(), (values * window.scatter(weights)).sum())
