"""Threads of torch are set and put back."""

import pytest
import torch

from mnmef.core.threads import torch_threads


def test_threads_are_as_many_as_before_afterwards_also_after_an_error():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(ZeroDivisionError), torch_threads(before + 1):
        _ = 1 / 0
    assert torch.get_num_threads() == before
