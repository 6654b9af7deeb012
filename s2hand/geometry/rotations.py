"""Axis-angle vectors, rotation matrices and quaternions, with finite gradients everywhere."""

import torch
from jaxtyping import Float
from torch import Tensor

_SMALL_SQUARED_ANGLE = 1e-4
"""Below it (in rad²) Taylor series are used: their error is below 1e-15, and 0/0 never happens."""


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Turn axis-angle vectors into rotation matrices (Rodrigues formula).

    Convention:
        The vector's length is the angle in radians, its direction the axis; the matrix acts on
        column vectors from the left, right-handed: ``[0, 0, pi/2]`` sends x to y.

    The zero vector gives the identity, with finite gradients.

    References:
        Romero et al., "Embodied Hands", 2017, section 3. The S2HAND code's ``rodrigues`` has NaN
        gradients at zero; this one does not.
    """
    x, y, z = axis_angle.unbind(-1)
    squared = (axis_angle * axis_angle).sum(-1)
    sine = _sine_over_angle(squared)
    half_sine = _sine_over_angle(squared * 0.25)
    versine = 0.5 * half_sine * half_sine  # (1 - cos a) / a², without cancellation
    cosine = 1 - versine * squared
    sx, sy, sz = sine * x, sine * y, sine * z
    vx, vy, vz = versine * x, versine * y, versine * z
    vxy, vxz, vyz = vx * y, vx * z, vy * z
    entries = (
        cosine + vx * x, vxy - sz, vxz + sy,
        vxy + sz, cosine + vy * y, vyz - sx,
        vxz - sy, vyz + sx, cosine + vz * z,
    )  # fmt: skip
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def axis_angle_to_quaternion(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4"]:
    """Turn axis-angle vectors into unit quaternions.

    Convention:
        Quaternions are (w, x, y, z); the zero vector gives (1, 0, 0, 0), with finite gradients.
        Angles above pi give a negative w, which is the same rotation as its negative.
    """
    quarter_squared = 0.25 * (axis_angle * axis_angle).sum(-1, keepdim=True)
    vector = 0.5 * _sine_over_angle(quarter_squared) * axis_angle
    return torch.cat((_cosine(quarter_squared), vector), dim=-1)


def quaternion_to_axis_angle(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3"]:
    """Turn quaternions (w, x, y, z) of any length but zero into axis-angle vectors.

    The angle lies in 0..pi; q and -q give the same vector. The identity gives the zero vector,
    with finite gradients.
    """
    w, vector = quaternion[..., :1], quaternion[..., 1:]
    sign = torch.where(w < 0, -1.0, 1.0).to(quaternion.dtype)
    w, vector = w * sign, vector * sign
    squared = (vector * vector).sum(-1, keepdim=True)
    small = squared < _SMALL_SQUARED_ANGLE * w * w
    norm = torch.where(small, torch.ones_like(squared), squared).sqrt()
    ratio = squared / torch.where(small, w * w, torch.ones_like(w))
    series = (2 - ratio * (2 / 3 - ratio * (2 / 5))) / torch.where(small, w, torch.ones_like(w))
    return torch.where(small, series, 2 * torch.atan2(norm, w) / norm) * vector


def matrix_to_quaternion(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Turn rotation matrices into unit quaternions (w, x, y, z), of either sign.

    The squares of the four components and their products are linear in the matrix; they are
    divided by the largest component, so that no rotation is close to a division by zero.

    References:
        Shepperd, "Quaternion from rotation matrix", 1978.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    entries = (
        1 + xx + yy + zz, zy - yz, xz - zx, yx - xy,
        zy - yz, 1 + xx - yy - zz, yx + xy, xz + zx,
        xz - zx, yx + xy, 1 - xx + yy - zz, zy + yz,
        yx - xy, xz + zx, zy + yz, 1 - xx - yy + zz,
    )  # fmt: skip
    products = torch.stack(entries, dim=-1).unflatten(-1, (4, 4))
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)[..., None, None]
    row = products.take_along_dim(largest, dim=-2).squeeze(-2)
    return torch.nn.functional.normalize(row, dim=-1)


def quaternion_multiply(
    first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]
) -> Float[Tensor, "*batch 4"]:
    """Return the Hamilton product; as a rotation, ``second`` acts first.

    Convention:
        Quaternions are (w, x, y, z), and i·j = k.
    """
    w1, x1, y1, z1 = first.unbind(-1)
    w2, x2, y2, z2 = second.unbind(-1)
    return torch.stack(
        (
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ),
        dim=-1,
    )


def quaternion_conjugate(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 4"]:
    """Return (w, -x, -y, -z): the inverse rotation of a unit quaternion."""
    return torch.cat((quaternion[..., :1], -quaternion[..., 1:]), dim=-1)


def quaternion_distance(
    first: Float[Tensor, "*batch 4"], second: Float[Tensor, "*batch 4"]
) -> Float[Tensor, "*batch"]:
    """Return the angle in radians, 0..pi, of the rotation that takes ``first`` to ``second``.

    Computed as 2·atan2(‖vec‖, |w|) of the relative quaternion: q and -q are the same rotation,
    and unlike an arccos the gradient stays finite. Where the two rotations are equal the distance
    has a kink, and the gradient there is zero.

    References:
        S2HAND(V), section 3.3.1, Ψ of Eq. 16 (which prints the cosine itself where its arccos is
        meant).
    """
    relative = quaternion_multiply(quaternion_conjugate(first), second)
    squared = (relative[..., 1:] * relative[..., 1:]).sum(-1)
    equal = squared == 0
    norm = torch.where(equal, torch.ones_like(squared), squared).sqrt()
    norm = torch.where(equal, torch.zeros_like(norm), norm)
    return 2 * torch.atan2(norm, relative[..., 0].abs())


def slerp(
    start: Float[Tensor, "*batch 4"],
    end: Float[Tensor, "*batch 4"],
    fraction: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch 4"]:
    """Interpolate unit quaternions along the shorter arc, at constant speed.

    Args:
        start: Where ``fraction`` is 0.
        end: Where ``fraction`` is 1, up to the sign that makes the arc the shorter one.
        fraction: Part of the way; values outside 0..1 extrapolate.
    """
    relative = quaternion_multiply(quaternion_conjugate(start), end)
    step = quaternion_to_axis_angle(relative) * fraction[..., None]
    return quaternion_multiply(start, axis_angle_to_quaternion(step))


def _sine_over_angle(squared: Tensor) -> Tensor:
    """Return sin(a)/a as a smooth function of a², at zero too."""
    small = squared < _SMALL_SQUARED_ANGLE
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    series = 1 - squared * (1 / 6 - squared * (1 / 120))
    return torch.where(small, series, angle.sin() / angle)


def _cosine(squared: Tensor) -> Tensor:
    """Return cos(a) as a smooth function of a², at zero too."""
    half_sine = _sine_over_angle(squared * 0.25)
    return 1 - 0.5 * squared * half_sine * half_sine
