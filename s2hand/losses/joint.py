"""The loss of supervised baselines: predicted joints against true ones."""

from jaxtyping import Float
from torch import Tensor

from s2hand.losses.formula import Formula, per_frame
from s2hand.types import Joints


def joint_3d_loss(joints: Joints, true_joints: Joints) -> Float[Tensor, ""]:
    """Compare joints about the wrist with true ones: squared distances, m², summed up.

    Where the hand is does not count: an image alone does not tell how far away.

    Convention:
        Both in one frame, turned alike. Fingertips are compared as they are: of FreiHAND they are
        the method's vertices, of HO-3D others.

    Args:
        joints: predicted, metres.
        true_joints: metres.

    References:
        MANO-CNN of the paper's Figure 5, which gives no formula: ours.
    """
    difference = (joints - joints[..., :1, :]) - (true_joints - true_joints[..., :1, :])
    return difference.square().sum()


FORMULAS = {
    "joint_3d": Formula(
        count=lambda batch, _: per_frame(batch, 21),
        total=lambda given, _: joint_3d_loss(given.hand.joints, given.true_joints),
    ),
}
