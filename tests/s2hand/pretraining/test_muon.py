"""Muon: what makes a matrix orthogonal, and the update made of it."""

import pytest
import torch

from s2hand.pretraining.muon import Muon, orthogonalise


def singular_matrix(rows, columns, values):
    """Return a matrix with these singular values, and its left and right vectors."""
    generator = torch.Generator().manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(rows, len(values), generator=generator))
    v, _ = torch.linalg.qr(torch.randn(columns, len(values), generator=generator))
    return u @ torch.diag(torch.tensor(values)) @ v.T, u, v


@pytest.mark.parametrize(("rows", "columns"), [(4, 9), (9, 4), (4, 4)])
def test_singular_values_come_near_one_and_vectors_stay(rows, columns):
    matrix, u, v = singular_matrix(rows, columns, [3.0, 1.0, 0.5, 0.2])
    for scale in (1e-3, 1.0, 1e3):
        inner = u.T @ orthogonalise(scale * matrix) @ v
        assert ((inner.diagonal() > 0.65) & (inner.diagonal() < 1.25)).all()
        torch.testing.assert_close(inner, torch.diag(inner.diagonal()), atol=1e-4, rtol=0)


def test_no_gradient_gives_no_step():
    kernel = torch.nn.Parameter(torch.randn(4, 3, 3, 3))
    before = kernel.detach().clone()
    kernel.grad = torch.zeros_like(kernel)
    optimiser = Muon([kernel], lr=0.1)
    optimiser.step()
    torch.testing.assert_close(kernel.detach(), before)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_step_goes_against_the_gradient_s_singular_vectors(memory_format):
    """Twice as tall as wide: the step is enlarged by the root of that."""
    gradient, u, v = singular_matrix(36, 18, [1.0, 0.6])
    kernel = torch.nn.Parameter(torch.zeros(36, 2, 3, 3).contiguous(memory_format=memory_format))
    kernel.grad = gradient.view(36, 2, 3, 3).contiguous(memory_format=memory_format)
    Muon([kernel], lr=0.1).step()
    inner = u.T @ kernel.detach().reshape(36, 18) @ v / (0.1 * 2**0.5)
    assert ((inner.diagonal() < -0.65) & (inner.diagonal() > -1.25)).all()


def test_momentum_carries_a_step_on_and_decay_shrinks():
    kernel = torch.nn.Parameter(torch.zeros(2, 2, 1, 1))
    optimiser = Muon([kernel], lr=0.1, momentum=0.9, weight_decay=0.0)
    kernel.grad = torch.eye(2).view(2, 2, 1, 1)
    optimiser.step()
    after_one = kernel.detach().clone()
    kernel.grad = torch.zeros_like(kernel)
    optimiser.step()
    torch.testing.assert_close(kernel.detach(), 2 * after_one)
    decayed = torch.nn.Parameter(torch.ones(2, 2, 1, 1))
    decayed.grad = torch.zeros_like(decayed)
    Muon([decayed], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(decayed.detach(), torch.full((2, 2, 1, 1), 0.95))


def test_a_state_that_was_saved_goes_on_alike():
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(4, 6, 2, 3, 3, generator=generator)

    def steps(kernel, optimiser, these):
        for gradient in these:
            kernel.grad = gradient.clone()
            optimiser.step()

    whole = torch.nn.Parameter(torch.zeros(6, 2, 3, 3))
    steps(whole, Muon([whole], lr=0.1), gradients)
    first = torch.nn.Parameter(torch.zeros(6, 2, 3, 3))
    optimiser = Muon([first], lr=0.1)
    steps(first, optimiser, gradients[:2])
    second = torch.nn.Parameter(first.detach().clone())
    resumed = Muon([second], lr=0.5)
    resumed.load_state_dict(optimiser.state_dict())
    steps(second, resumed, gradients[2:])
    assert torch.equal(second, whole)
