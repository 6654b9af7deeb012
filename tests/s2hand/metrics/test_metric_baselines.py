import numpy as np
import torch

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.layer import HandLayer
from s2hand.metrics.baselines import mean_pose_predictions


def test_every_frame_is_the_mean_hand_before_the_camera():
    predictions = mean_pose_predictions(embedded_hand(), 4)
    assert len(predictions) == 4
    for values in (predictions.joints, predictions.vertices, predictions.hand_pose):
        assert np.all(values == values[:1])
    assert not predictions.betas.any()
    assert predictions.betas.shape == (4, 10)
    assert not predictions.global_orient.any()
    hand = HandLayer(embedded_hand())(
        betas=torch.zeros(4, 10),
        hand_pose_pca=torch.zeros(4, 30),
        global_orient=torch.zeros(4, 3),
        transl=torch.tensor([[0.0, 0.0, 0.65]]).expand(4, 3),
    )
    np.testing.assert_allclose(predictions.joints, hand.joints, atol=1e-6)
    np.testing.assert_allclose(predictions.vertices, hand.vertices, atol=1e-6)


def test_its_joints_are_those_of_the_mean_pose_up_to_a_shift():
    data = embedded_hand()
    predictions = mean_pose_predictions(data, 1)
    mean_pose = np.asarray(data.hands_mean).reshape(1, 15, 3)
    np.testing.assert_allclose(predictions.hand_pose, mean_pose, atol=1e-6)
    wrist_to_tip = np.linalg.norm(predictions.joints[0, 12] - predictions.joints[0, 0])
    assert 0.1 < wrist_to_tip < 0.25
    assert HandLayer(data).faces.max() == predictions.vertices.shape[1] - 1
