"""Named postures: what their names say of the embedded hand, and their angles."""

from collections.abc import Callable

import pytest
import torch
from scipy.spatial.transform import Rotation

from s2hand.hand.angle_limits import anatomical_frames
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.joints import MANO_JOINTS
from s2hand.hand.layer import HandLayer
from s2hand.hand.postures import POSTURES, named_posture

TIPS = [4, 8, 12, 16, 20]
"""Thumb to little finger."""


@pytest.fixture(scope="module")
def joints() -> dict[str, torch.Tensor]:
    """The embedded hand's joints in every posture."""
    layer = HandLayer(embedded_hand(), use_mean_pose=False)
    frames = anatomical_frames(layer.rest_joints)
    poses = torch.stack([named_posture(name, frames) for name in POSTURES])
    zero = torch.zeros(len(POSTURES), 10), torch.zeros(len(POSTURES), 3)
    posed = layer(betas=zero[0], global_orient=zero[1], hand_pose=poses)
    return dict(zip(POSTURES, posed.joints, strict=True))


def test_hands_look_as_the_postures_names_say(joints: dict[str, torch.Tensor]) -> None:
    from_wrist = {name: (each[TIPS] - each[0]).norm(dim=-1) for name, each in joints.items()}
    gap = {name: (each[8] - each[4]).norm() for name, each in joints.items()}
    assert (from_wrist["fist"][1:] < 0.6 * from_wrist["flat"][1:]).all()
    assert (from_wrist["point"][2:] < 0.6 * from_wrist["flat"][2:]).all()
    assert torch.equal(from_wrist["point"][1], from_wrist["flat"][1])
    assert gap["pinch"] < 0.25 * gap["flat"]
    assert torch.cdist(joints["spread"][TIPS], joints["spread"][TIPS]).triu().sum() > (
        1.05 * torch.cdist(joints["flat"][TIPS], joints["flat"][TIPS]).triu().sum()
    )


def test_angles_of_the_postures(golden: Callable[[str, str], None]) -> None:
    """Twist, spread and bend in whatever frames the joints have."""
    frames = torch.tensor(Rotation.random(15, random_state=0).as_matrix())
    lines = []
    for name in POSTURES:
        pose = named_posture(name, frames)
        angles = (frames.mT @ pose[..., None]).squeeze(-1).rad2deg().round(decimals=3) + 0.0
        for joint, (twist, spread, bend) in zip(MANO_JOINTS[1:], angles.tolist(), strict=True):
            lines.append(f"{name} {joint}: {twist:g} {spread:g} {bend:g}\n")
    golden("hand/postures.txt", "".join(lines))


def test_an_unknown_posture_is_an_error() -> None:
    with pytest.raises(KeyError, match="wave"):
        named_posture("wave", torch.eye(3).expand(15, 3, 3))
