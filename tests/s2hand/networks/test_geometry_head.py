"""The geometry head's shapes and initial values (docs/method.md, network)."""

import pytest
import torch

from s2hand.geometry.rotations import axis_angle_to_quaternion
from s2hand.networks.geometry_head import GeometryHead


@pytest.fixture
def head():
    torch.manual_seed(0)
    return GeometryHead(640, initial_orient=(0.1, 0.2, 0.3))


def test_outputs_and_their_initial_values(head):
    parameters = head(torch.randn(16, 640))
    assert parameters.hand_pose_pca.shape == (16, 30)
    assert parameters.betas.shape == (16, 10)
    assert parameters.global_orient.shape == (16, 3)
    torch.testing.assert_close(
        parameters.transl, torch.tensor([0.0, 0.0, 0.65]).expand(16, 3), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(parameters.scale, torch.full((16, 1), 0.95), atol=1e-3, rtol=0)


def test_the_rotation_branch_starts_around_the_given_orientation(head):
    torch.manual_seed(0)
    other = GeometryHead(640, initial_orient=(0.0, 0.0, 0.0))
    features = torch.randn(16, 640)
    difference = head(features).global_orient - other(features).global_orient
    torch.testing.assert_close(difference, torch.tensor([0.1, 0.2, 0.3]).expand(16, 3))


def test_a_head_of_quaternions_starts_around_the_same_orientation():
    torch.manual_seed(0)
    start = (1.2092, 1.2092, 1.2092)
    head = GeometryHead(640, initial_orient=start, rotation_output="quaternion").eval()
    with torch.no_grad():
        head.rotation[-1].weight.zero_()
        offset = head.rotation[-1].bias - axis_angle_to_quaternion(torch.tensor(start))
        head.rotation[-1].bias.sub_(offset).mul_(3.0)  # its length has no meaning
    orient = head(torch.randn(4, 640)).global_orient
    torch.testing.assert_close(orient, torch.tensor(start).expand(4, 3))
    assert offset.abs().max() < 0.2  # default initial bias of a layer with 32 inputs


def test_the_scale_is_never_negative(head):
    with torch.no_grad():
        head.scale[-1].bias.fill_(-0.5)
    assert (head(torch.randn(4, 640)).scale > 0).all()


def test_layers_are_those_of_the_released_code(head):
    widths = {
        name: [layer.out_features for layer in branch if isinstance(layer, torch.nn.Linear)]
        for name, branch in head.named_children()
    }
    assert widths == {
        "trunk": [1024, 512],
        "pose": [128, 30],
        "shape": [128, 10],
        "rotation": [128, 32, 3],
        "translation": [128, 32, 3],
        "scale": [128, 32, 1],
    }
