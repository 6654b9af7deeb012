"""Coordinates as classes: labels, their inverse, and what counts in the loss."""

import pytest
import torch

from s2hand.pretraining.coordinate_classes import (
    NUM_BINS,
    bin_labels,
    coordinate_class_loss,
    expected_keypoints_px,
)

SIZE_PX = 64


def test_labels_are_distributions_that_peak_where_the_keypoint_is():
    """The bins span 1.1 image sides about the centre, x first."""
    labels = bin_labels(torch.tensor([[31.5, 10.0]]), SIZE_PX)
    torch.testing.assert_close(labels.sum(-1), torch.ones(1, 2))
    edges = (torch.arange(NUM_BINS + 1) / NUM_BINS - 0.5) * 1.1 * SIZE_PX + 31.5
    peak = int(labels[0, 1].argmax())
    assert edges[peak] <= 10.0 < edges[peak + 1]
    torch.testing.assert_close(labels[0, 0], labels[0, 0].flip(0))  # the centre is between bins


@pytest.mark.parametrize("size_px", [32, 96])
def test_the_expected_keypoint_inverts_the_label(size_px):
    """Away from the span's ends, where a label is cut off and leans inwards."""
    generator = torch.Generator().manual_seed(0)
    keypoints_px = (0.1 + 0.8 * torch.rand(50, 21, 2, generator=generator)) * size_px
    scores = bin_labels(keypoints_px, size_px).log()
    torch.testing.assert_close(
        expected_keypoints_px(scores, size_px), keypoints_px, atol=2e-3 * size_px, rtol=0
    )


def test_the_loss_is_least_at_the_labels_themselves():
    keypoints_px = torch.rand(3, 21, 2) * SIZE_PX
    confidence = torch.rand(3, 21)
    scores = bin_labels(keypoints_px, SIZE_PX).log().requires_grad_()
    coordinate_class_loss(scores, keypoints_px, confidence, SIZE_PX).backward()
    assert scores.grad.abs().max() < 1e-6
    shifted = keypoints_px + 1
    coordinate_class_loss(scores, shifted, confidence, SIZE_PX).backward()
    assert scores.grad.abs().max() > 1e-4


def test_the_loss_of_even_scores_is_that_of_guessing_whatever_the_confidences():
    even = torch.zeros(2, 21, 2, NUM_BINS)
    keypoints_px = torch.rand(2, 21, 2) * SIZE_PX
    for confidence in (torch.ones(2, 21), torch.rand(2, 21)):
        loss = coordinate_class_loss(even, keypoints_px, confidence, SIZE_PX)
        torch.testing.assert_close(loss, 2 * torch.tensor(float(NUM_BINS)).log())


def test_keypoints_without_confidence_or_far_outside_count_nothing():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(1, 21, 2, NUM_BINS, generator=generator)
    keypoints_px = torch.rand(1, 21, 2, generator=generator) * SIZE_PX
    confidence = torch.full((1, 21), 0.5)
    confidence[0, 0] = 0
    keypoints_px[0, 1] = torch.tensor([-20.0, 30.0])
    expected = coordinate_class_loss(
        scores[:, 2:].repeat(1, 2, 1, 1)[:, :21],
        keypoints_px[:, 2:].repeat(1, 2, 1)[:, :21],
        torch.cat((confidence[:, 2:], torch.zeros(1, 2)), dim=1),
        SIZE_PX,
    )
    torch.testing.assert_close(
        coordinate_class_loss(scores, keypoints_px, confidence, SIZE_PX), expected
    )
    nothing = coordinate_class_loss(scores, keypoints_px, torch.zeros(1, 21), SIZE_PX)
    assert nothing == 0


def test_keypoints_count_by_their_confidence():
    """One keypoint is known, the others are guessed."""
    keypoints_px = torch.full((1, 21, 2), 20.0)
    scores = torch.zeros(1, 21, 2, NUM_BINS)
    scores[0, 0] = bin_labels(keypoints_px[0, 0], SIZE_PX).clamp(min=1e-20).log()
    confidence = torch.full((1, 21), 0.25)
    confidence[0, 0] = 1.0
    label = bin_labels(keypoints_px[0, 0], SIZE_PX)
    known = torch.distributions.Categorical(label).entropy().sum()
    guessed = 2 * torch.tensor(float(NUM_BINS)).log()
    torch.testing.assert_close(
        coordinate_class_loss(scores, keypoints_px, confidence, SIZE_PX),
        (1.0 * known + 20 * 0.25 * guessed) / 6.0,
    )
