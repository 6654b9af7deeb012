"""Rotations against SciPy, roma, the matrix exponential and finite differences."""

import math

import numpy as np
import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from s2hand.geometry.rotations import (
    axis_angle_to_matrix,
    axis_angle_to_quaternion,
    matrix_to_quaternion,
    quaternion_conjugate,
    quaternion_distance,
    quaternion_multiply,
    quaternion_to_axis_angle,
    slerp,
)

LENGTHS = [0.0, 1e-12, 1e-6, 9.9e-3, 1.01e-2, 0.02, 0.5, 3.0, math.pi, 4.0, 6.5]


def _axis_angles(*shape: int, seed: int = 0, scale: float = 1.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 3, generator=generator, dtype=torch.float64) * scale


def _quaternions(*shape: int, seed: int = 0) -> torch.Tensor:
    return axis_angle_to_quaternion(_axis_angles(*shape, seed=seed))


@pytest.mark.parametrize("length", LENGTHS)
def test_matrix_equals_scipy_and_the_matrix_exponential(length: float) -> None:
    axis_angle = torch.nn.functional.normalize(_axis_angles(20), dim=-1) * length
    matrix = axis_angle_to_matrix(axis_angle)
    expected = Rotation.from_rotvec(axis_angle.numpy()).as_matrix()
    np.testing.assert_allclose(matrix.numpy(), expected, atol=2e-15)
    exponential = torch.linalg.matrix_exp(_cross_matrix(axis_angle))
    torch.testing.assert_close(matrix, exponential, atol=1e-13, rtol=0)


def _cross_matrix(vector: torch.Tensor) -> torch.Tensor:
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))


def test_convention_a_quarter_turn_about_z_sends_x_to_y() -> None:
    matrix = axis_angle_to_matrix(torch.tensor([0.0, 0.0, math.pi / 2]))
    torch.testing.assert_close(matrix @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))


def test_float32_rotations_stay_orthogonal() -> None:
    axis_angle = _axis_angles(2000)
    matrix = axis_angle_to_matrix(axis_angle.float()).double()  # so that the product is exact
    error = (matrix @ matrix.transpose(-1, -2) - torch.eye(3).double()).abs().amax((-2, -1))
    half_turns = axis_angle.norm(dim=-1) / math.pi  # the angle's own rounding grows with it
    assert (error < 1e-6 * half_turns.clamp(min=1)).all()


def test_quaternions_agree_with_roma_and_scipy() -> None:
    axis_angle = _axis_angles(50, scale=0.8)
    ours = axis_angle_to_quaternion(axis_angle)
    torch.testing.assert_close(ours, roma.quat_xyzw_to_wxyz(roma.rotvec_to_unitquat(axis_angle)))
    second = _quaternions(50, seed=1)
    product = quaternion_multiply(ours, second)
    expected = axis_angle_to_matrix(axis_angle) @ axis_angle_to_matrix(_axis_angles(50, seed=1))
    back = Rotation.from_quat(product.numpy(), scalar_first=True).as_matrix()
    np.testing.assert_allclose(back, expected.numpy(), atol=1e-14)
    identity = quaternion_multiply(ours, quaternion_conjugate(ours))
    torch.testing.assert_close(identity, torch.tensor([1.0, 0, 0, 0]).double().expand(50, 4))


def test_convention_quaternions_are_w_first_and_ij_is_k() -> None:
    i, j, k = torch.eye(4)[1:]
    torch.testing.assert_close(quaternion_multiply(i, j), k)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1.7, 1.7), min_size=3, max_size=3), st.sampled_from([-1.0, 1.0]))
def test_axis_angle_survives_the_way_through_quaternions(vector: list[float], sign: float) -> None:
    axis_angle = torch.tensor(vector, dtype=torch.float64)  # shorter than pi
    back = quaternion_to_axis_angle(sign * axis_angle_to_quaternion(axis_angle))
    torch.testing.assert_close(back, axis_angle, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("length", [length for length in LENGTHS if length < math.pi])
@pytest.mark.parametrize("size", [1.0, -0.02, 30.0])
def test_quaternions_of_any_size_are_axis_angle_vectors(length: float, size: float) -> None:
    """From where the series ends to where it begins, to the last digits."""
    axis_angle = torch.nn.functional.normalize(_axis_angles(20), dim=-1) * length
    back = quaternion_to_axis_angle(size * axis_angle_to_quaternion(axis_angle))
    torch.testing.assert_close(back, axis_angle, atol=0, rtol=2e-14)


@pytest.mark.parametrize("length", [*LENGTHS, math.pi - 1e-9])
def test_matrices_become_the_quaternions_of_scipy(length: float) -> None:
    axes = torch.cat([torch.nn.functional.normalize(_axis_angles(20), dim=-1), torch.eye(3)])
    rotations = Rotation.from_rotvec((axes * length).numpy())
    ours = matrix_to_quaternion(torch.from_numpy(rotations.as_matrix())).numpy()
    expected = rotations.as_quat(scalar_first=True)
    sign = np.sign((ours * expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(ours * sign, expected, atol=1e-14)


def test_matrices_become_quaternions_in_float32_at_half_a_turn() -> None:
    half_turns = torch.tensor([[math.pi, 0, 0], [0, math.pi, 0], [0, 0, math.pi], [2.2, 2.2, 0.4]])
    matrix = axis_angle_to_matrix(half_turns)
    again = axis_angle_to_matrix(quaternion_to_axis_angle(matrix_to_quaternion(matrix)))
    torch.testing.assert_close(again, matrix, atol=1e-6, rtol=0)


def test_distance_is_the_relative_angle_and_ignores_signs() -> None:
    first, second = _quaternions(60), _quaternions(60, seed=1)
    relative = Rotation.from_quat(first.numpy(), scalar_first=True).inv() * Rotation.from_quat(
        second.numpy(), scalar_first=True
    )
    expected = torch.from_numpy(relative.magnitude())
    torch.testing.assert_close(quaternion_distance(first, second), expected)
    torch.testing.assert_close(quaternion_distance(-first, second), expected)
    torch.testing.assert_close(quaternion_distance(second, first), expected)
    roma_distance = roma.rotmat_geodesic_distance(
        roma.unitquat_to_rotmat(roma.quat_wxyz_to_xyzw(first)),
        roma.unitquat_to_rotmat(roma.quat_wxyz_to_xyzw(second)),
    )
    torch.testing.assert_close(quaternion_distance(first, second), roma_distance)


def test_slerp_agrees_with_scipy_and_takes_the_shorter_arc() -> None:
    start, end = _quaternions(seed=3), -_quaternions(seed=4)
    fractions = torch.linspace(0, 1, 7, dtype=torch.float64)
    ours = slerp(start.expand(7, 4), end.expand(7, 4), fractions)
    keys = Rotation.from_quat(torch.stack((start, end)).numpy(), scalar_first=True)
    expected = Slerp([0, 1], keys)(fractions.numpy()).as_matrix()
    actual = Rotation.from_quat(ours.numpy(), scalar_first=True).as_matrix()
    np.testing.assert_allclose(actual, expected, atol=1e-13)


@pytest.mark.parametrize("function", [axis_angle_to_matrix, axis_angle_to_quaternion])
@pytest.mark.parametrize("length", [0.0, 1e-7, 9e-3, 1.1e-2, 1.0, math.pi])
def test_gradients_are_those_of_finite_differences(function, length: float) -> None:
    axis_angle = torch.nn.functional.normalize(_axis_angles(2), dim=-1) * length
    assert torch.autograd.gradcheck(function, axis_angle.requires_grad_())


def test_gradients_of_quaternion_functions() -> None:
    first = _quaternions(3).requires_grad_()
    second = _quaternions(3, seed=1).requires_grad_()
    fraction = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(quaternion_distance, (first, second))
    assert torch.autograd.gradcheck(quaternion_to_axis_angle, first)
    assert torch.autograd.gradcheck(slerp, (first, second, fraction))
    identity = torch.tensor([[1.0, 0, 0, 0], [-2.0, 0, 0, 0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(quaternion_to_axis_angle, identity.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_is_infinite_where_rotations_coincide(dtype: torch.dtype) -> None:
    axis_angle = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
    quaternion = axis_angle_to_quaternion(axis_angle)
    distance = quaternion_distance(quaternion[0], quaternion[1])
    between = slerp(quaternion[0], quaternion[1], torch.tensor(0.3, dtype=dtype))
    (distance + between.sum() + axis_angle_to_matrix(axis_angle).sum()).backward()
    assert distance == 0
    assert axis_angle.grad is not None
    assert axis_angle.grad.isfinite().all()
