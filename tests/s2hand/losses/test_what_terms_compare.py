"""What each term of the table is given, of random predictions in which no two things are alike."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from loss_means import rest_hand

from s2hand.config import LossConfig
from s2hand.data.sample import Batch
from s2hand.geometry.rotations import axis_angle_to_quaternion
from s2hand.loss_table import TERMS
from s2hand.losses import appearance, joint, keypoint, laplacian, motion, photometric, priors
from s2hand.losses.norm import safe_norm
from s2hand.losses.objective import Objective, weighted_total
from s2hand.prediction import Appearance, HandPrediction, Prediction
from s2hand.rendering import Lighting, Rendering

FRAMES, CLIP, SIZE_PX = 6, 3, 16
SCALE = 224 / SIZE_PX


def noise(seed: int) -> Callable[..., torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=generator)


def make_batch() -> Batch:
    some = noise(0)
    return Batch(
        images=some(FRAMES, 3, SIZE_PX, SIZE_PX),
        intrinsics_px=some(FRAMES, 3, 3),
        detected_keypoints_px=SIZE_PX * some(FRAMES, 21, 2),
        detection_confidence=0.2 + 0.8 * some(FRAMES, 21),
        camera_rotation=torch.eye(3).expand(FRAMES, 3, 3),
        sample_index=torch.arange(FRAMES),
        clip_length=CLIP,
        joints=some(FRAMES, 21, 3),
    )


def make_prediction() -> Prediction:
    some = noise(1)
    return Prediction(
        hand=HandPrediction(
            betas=some(FRAMES, 10),
            hand_pose_pca=some(FRAMES, 30),
            hand_pose=2 * some(FRAMES, 15, 3),
            global_orient=some(FRAMES, 3),
            transl=some(FRAMES, 3),
            scale=some(FRAMES, 1),
            joints=some(FRAMES, 21, 3),
            vertices=some(FRAMES, 778, 3),
            projected_keypoints_px=SIZE_PX * some(FRAMES, 21, 2),
            camera_px=some(FRAMES, 3, 3),
        ),
        appearance=Appearance(
            texture=some(FRAMES, 778, 3).square() * 9,
            lighting=Lighting.from_vector(some(FRAMES, 11)),
        ),
        rendering=Rendering(
            image=some(FRAMES, 3, SIZE_PX, SIZE_PX),
            silhouette=some(FRAMES, SIZE_PX, SIZE_PX),
            depth_m=some(FRAMES, SIZE_PX, SIZE_PX),
            face_id=torch.zeros(FRAMES, SIZE_PX, SIZE_PX, dtype=torch.int32),
        ),
        heatmap_keypoints_px=SIZE_PX * some(3, FRAMES, 21, 2),
    )


FORMS = {
    "paper": LossConfig(keypoint_knee_px=30.0, smooth_threshold_rad=0.4),
    "released": LossConfig(
        keypoint_2d="released", photometric="released", photometric_min_confidence=0.22,
        heatmap_keypoint="released", shape_prior="squared", bone_length_prior="absolute",
        joint_angle_prior="axis_angle", keypoint_knee_px=30.0, smooth_threshold_rad=0.4,
    ),
}  # fmt: skip


def expected_totals(form: str) -> dict[str, torch.Tensor]:
    """Call every loss with what the paper compares in it."""
    batch, predicted = make_batch(), make_prediction()
    hand, colours, seen = predicted.hand, predicted.appearance, predicted.rendering
    points, confidence = batch.detected_keypoints_px, batch.detection_confidence
    stacks = predicted.heatmap_keypoints_px
    pictures = (batch.images, seen.image, seen.silhouette)
    knee: dict[str, Any] = {"px_scale": SCALE, "knee_px": 30.0}
    is_paper = form == "paper"
    least = {"min_confidence": 0.0 if is_paper else 0.22}
    rest = rest_hand()
    turns = torch.stack([
        torch.cat([hand.global_orient[frame : frame + 1], hand.hand_pose[frame]])
        for frame in range(FRAMES)
    ])  # fmt: skip
    clips = axis_angle_to_quaternion(turns).view(2, CLIP, 16, 4)
    return {
        "keypoint_2d": keypoint.keypoint_2d_loss(
            hand.projected_keypoints_px, points, confidence, form=form, **knee
        ),
        "bone_direction": keypoint.bone_direction_loss(
            hand.projected_keypoints_px, points, confidence
        ),
        "pixel": photometric.pixel_loss(*pictures, confidence, form=form, **least),
        "ssim": photometric.ssim_loss(*pictures),
        "mean_colour": photometric.mean_colour_loss(*pictures, confidence, **least),
        "shape_prior": priors.shape_prior(hand.betas, form="norm" if is_paper else "squared"),
        "texture_prior": appearance.texture_prior(colours.texture, confidence, form=form, **least),
        "bone_length_prior": priors.bone_length_prior(
            hand.joints, form="squared" if is_paper else "absolute"
        ),
        "joint_angle_prior": priors.JointAnglePrior(
            "anatomical" if is_paper else "axis_angle", rest.joints
        )(hand.hand_pose),
        "mesh_laplacian": laplacian.MeshLaplacian(rest.vertices, rest.faces)(hand.vertices),
        "posture_prior": priors.posture_prior(hand.hand_pose_pca),
        "heatmap_keypoint": keypoint.heatmap_keypoint_loss(
            stacks, points, confidence, form=form, **knee
        ),
        # The 3D branch learns from the last of the estimator's stacks, which is the best.
        "keypoint_consistency": keypoint.keypoint_consistency_loss(
            hand.projected_keypoints_px, stacks[2], **knee
        ),
        "quaternion": motion.quaternion_loss(clips),
        "temporal": motion.temporal_loss(clips),
        "smooth": motion.smooth_loss(clips, threshold_rad=0.4),
        "texture_shape": appearance.texture_shape_loss(
            colours.texture.view(2, CLIP, 778, 3), hand.betas.view(2, CLIP, 10)
        ),
        "joint_3d": joint.joint_3d_loss(hand.joints, batch.joints),
    }


@pytest.mark.parametrize("form", FORMS)
def test_every_term_compares_what_it_is_meant_to(form: str) -> None:
    objective = Objective(FORMS[form], dict.fromkeys(TERMS, 1.0), rest_hand())
    found, expected = objective.totals(make_prediction(), make_batch()), expected_totals(form)
    assert found.keys() == expected.keys() == TERMS.keys()
    for name, total in expected.items():
        assert total > 0, name
        torch.testing.assert_close(
            found[name], total, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_counts_are_of_frames_clips_and_confidences() -> None:
    batch = make_batch()
    con = batch.detection_confidence
    paper, released = (
        Objective(losses, dict.fromkeys(TERMS, 1.0), rest_hand()).counts(batch)
        for losses in FORMS.values()
    )
    frames = {
        "bone_direction": 20, "ssim": 1, "bone_length_prior": 1, "mesh_laplacian": 778,
        "posture_prior": 30, "keypoint_consistency": 21, "joint_3d": 21,
    }  # fmt: skip
    clips = {"quaternion": 16, "temporal": 16, "smooth": 16, "texture_shape": 1}
    alike = {name: FRAMES * number for name, number in frames.items()}
    alike |= {name: FRAMES / CLIP * number for name, number in clips.items()}
    for counts in (paper, released):
        assert {name: counts[name].item() for name in alike} == alike
    weights = con.mean(1).square() * (con.amin(1) > 0.22)
    assert 0 < (weights > 0).sum() < FRAMES  # some frames are left out
    per_frame = {"pixel": 1, "texture_prior": 1, "shape_prior": 1, "keypoint_2d": 21,
                 "heatmap_keypoint": 21, "joint_angle_prior": 45}  # fmt: skip
    for name, number in per_frame.items():
        assert paper[name] == FRAMES * number
    assert paper["mean_colour"].item() == pytest.approx(con.mean(1).square().sum().item())
    for name in ("pixel", "texture_prior", "mean_colour"):
        assert released[name].item() == pytest.approx(weights.sum().item())
    assert released["shape_prior"] == FRAMES * 10
    assert released["joint_angle_prior"] == FRAMES * 48
    assert released["heatmap_keypoint"].item() == pytest.approx(con.square().sum().item())
    emphasis = torch.ones(21)
    emphasis[0], emphasis[[4, 8, 12, 16, 20]] = 2.0, 1.5
    assert released["keypoint_2d"].item() == pytest.approx((con * emphasis).square().sum().item())


def test_the_total_is_the_weighted_sum_of_means_and_nothing_where_nothing_counts() -> None:
    totals = {name: torch.tensor(value, requires_grad=True) for name, value in
              (("a", 3.0), ("b", 8.0), ("c", 5.0))}  # fmt: skip
    counts = {"a": torch.tensor(2.0), "b": torch.tensor(0.5), "c": torch.tensor(0.0)}
    total = weighted_total(totals, counts, {"a": 0.1, "b": 10.0, "c": 1.0})
    total.backward()
    assert total.item() == pytest.approx(0.1 * 3 / 2 + 10 * 8 / 0.5)
    gradients = [each.grad.item() for each in totals.values() if each.grad is not None]
    assert gradients == pytest.approx([0.1 / 2, 10 / 0.5, 0])


def test_lengths_are_pythagoras_along_any_axes_and_have_a_gradient_of_zero_at_zero() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1e-3, 0.0]], requires_grad=True)
    lengths = safe_norm(vectors)
    lengths.sum().backward()
    torch.testing.assert_close(lengths, torch.tensor([5.0, 0.0, 1e-3]))
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]])
    torch.testing.assert_close(vectors.grad, expected)
    assert safe_norm(torch.full((2, 2, 3), 2.0), dim=(0, 1)).tolist() == [4.0] * 3
