"""Totals divided by their counts, with nothing among them."""

import pytest
import torch

from s2hand.losses.loss_sum import count_like, divide


@pytest.mark.parametrize("count", [0.25, 1.0, 2.0, 64.0])
def test_a_total_is_divided_by_its_count_however_small(count):
    total = torch.tensor(3.0, requires_grad=True)
    mean = divide(total, torch.tensor(count))
    mean.backward()
    assert mean.item() == 3 / count
    assert total.grad.item() == 1 / count


@pytest.mark.parametrize("total", [0.0, 3.0, float("nan"), float("inf")])
def test_without_anything_to_count_loss_and_gradient_are_zero(total):
    total = torch.tensor(total, requires_grad=True)
    mean = divide(total, torch.tensor(0.0))
    mean.backward()
    assert (mean.item(), total.grad.item()) == (0.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_count_has_the_type_and_the_device_of_its_total(dtype):
    for device in ("cpu", "meta"):
        count = count_like(torch.zeros(2, 3, dtype=dtype, device=device), 7)
        assert (count.dtype, count.device.type, count.shape) == (dtype, device, ())
    assert count_like(torch.zeros(1, dtype=dtype), 7).item() == 7
