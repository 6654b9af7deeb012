import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from s2hand.reconstruction_pictures import (
    COLUMN_TITLES,
    TITLE_HEIGHT_PX,
    reconstruction_grid,
    turned_about_vertical,
)

INPUT, DETECTED, PROJECTED, OVERLAY, RENDERED, NOVEL = range(6)


def frames(rows: int = 2, size: int = 64, seed: int = 0) -> dict[str, torch.Tensor | None]:
    """Return the grid's inputs: pictures of noise, all keypoints at places of their own."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.rand((rows, *shape), generator=generator)

    silhouette = noise(size, size)
    return {
        "images": noise(3, size, size),
        "detected_keypoints_px": 8 + (size - 16) * noise(21, 2),
        "detection_confidence": torch.ones(rows, 21),
        "projected_keypoints_px": 8 + (size - 16) * noise(21, 2),
        "heatmap_keypoints_px": None,
        "rendered_image": silhouette[:, None] * noise(3, size, size),
        "rendered_silhouette": silhouette,
        "novel_view_image": noise(3, size, size),
    }


def cell_of(grid: np.ndarray, rows: int, row: int, column: int) -> np.ndarray:
    side = grid.shape[1] // len(COLUMN_TITLES)
    assert grid.shape == (TITLE_HEIGHT_PX + rows * side, len(COLUMN_TITLES) * side, 3)
    top = TITLE_HEIGHT_PX + row * side
    return grid[top : top + side, column * side : (column + 1) * side].astype(int)


def enlarged(picture: torch.Tensor, scale: int) -> np.ndarray:
    pixels = np.round(picture.numpy().transpose(1, 2, 0) * 255)
    return np.kron(pixels, np.ones((scale, scale, 1))).astype(int)


@pytest.mark.parametrize(("size", "scale"), [(32, 4), (64, 2), (96, 2), (128, 1), (224, 1)])
def test_pictures_are_enlarged_by_whole_numbers_to_at_least_128_px(size, scale):
    inputs = frames(rows=2, size=size)
    grid = reconstruction_grid(**inputs)
    assert grid.dtype == np.uint8
    for row in range(2):
        for column, name in ((INPUT, "images"), (RENDERED, "rendered_image")):
            expected = enlarged(inputs[name][row], scale)
            np.testing.assert_array_equal(cell_of(grid, 2, row, column), expected)
        novel = enlarged(inputs["novel_view_image"][row], scale)
        np.testing.assert_array_equal(cell_of(grid, 2, row, NOVEL), novel)


@pytest.mark.parametrize("size", [32, 64, 96, 224])
@pytest.mark.parametrize("keypoint_px", [(10.0, 20.0), (19.5, 7.0), (12.3, 22.8)])
def test_convention_keypoints_keep_their_place_when_pixels_are_enlarged(size, keypoint_px):
    inputs = frames(rows=1, size=size)
    inputs["images"] = torch.zeros(1, 3, size, size)
    inputs["detection_confidence"] = torch.zeros(1, 21)
    inputs["detection_confidence"][0, 8] = 1
    inputs["detected_keypoints_px"][0, 8] = torch.tensor(keypoint_px)
    brightness = cell_of(reconstruction_grid(**inputs), 1, 0, DETECTED).sum(axis=-1)
    rows, columns = np.indices(brightness.shape)
    centre = np.array([(columns * brightness).sum(), (rows * brightness).sum()]) / brightness.sum()
    scale = brightness.shape[0] / size
    np.testing.assert_allclose(centre, (np.array(keypoint_px) + 0.5) * scale - 0.5, atol=0.05)
    # In the enlarged picture the keypoint lies in the block of the pixel that it lay in.
    block = np.floor((centre + 0.5) / scale)
    np.testing.assert_array_equal(block, np.floor(np.array(keypoint_px) + 0.5))


def test_a_finger_has_one_colour_and_fingers_differ():
    inputs = frames(rows=1, size=128)
    places = torch.stack(torch.meshgrid(torch.arange(7), torch.arange(3), indexing="ij"), dim=-1)
    inputs["projected_keypoints_px"] = (10.0 + 18 * places.reshape(1, 21, 2)).float()
    cell = cell_of(reconstruction_grid(**inputs), 1, 0, PROJECTED)
    centres = inputs["projected_keypoints_px"][0].int().numpy()
    colours = [tuple(cell[y, x]) for x, y in centres]
    fingers = [set(colours[1 + 4 * k : 5 + 4 * k]) for k in range(5)]
    assert [len(finger) for finger in fingers] == [1] * 5
    assert len(set(colours)) == 6


def test_detections_fade_with_their_confidence_and_bones_with_both_ends():
    inputs = frames(rows=1, size=128)
    inputs["images"] = torch.zeros(1, 3, 128, 128)
    inputs["detected_keypoints_px"][0, :] = torch.tensor([100.0, 100.0])
    inputs["detected_keypoints_px"][0, 7:9] = torch.tensor([[20.0, 30.0], [60.0, 30.0]])

    def brightness(first: float, second: float) -> tuple[int, int, int]:
        inputs["detection_confidence"] = torch.zeros(1, 21)
        inputs["detection_confidence"][0, 7:9] = torch.tensor([first, second])
        cell = cell_of(reconstruction_grid(**inputs), 1, 0, DETECTED)
        return tuple(int(cell[30, x].sum()) for x in (20, 40, 60))

    joint, bone, other = brightness(1, 1)
    assert joint == bone == other > 255
    assert brightness(0, 1) == (0, 0, other)
    # A disc lies over the bone's end: what the bone leaves black is filled once more.
    expected = (0.4 + 0.6 * 0.5, 0.4, 0.4 + 0.6 * 0.8)
    assert brightness(0.5, 0.8) == pytest.approx([share * joint for share in expected], abs=3)


def test_overlay_without_a_silhouette_is_the_input():
    inputs = frames(rows=2)
    for name in ("rendered_image", "rendered_silhouette"):
        inputs[name] = torch.zeros_like(inputs[name])
    grid = reconstruction_grid(**inputs)
    for row in range(2):
        np.testing.assert_array_equal(cell_of(grid, 2, row, OVERLAY), cell_of(grid, 2, row, INPUT))


def test_overlay_mixes_by_the_silhouette_and_hides_what_the_hand_covers():
    inputs = frames(rows=1)
    colour = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(5))
    for share in (0.25, 1.0):
        inputs["rendered_silhouette"] = torch.full((1, 64, 64), share)
        inputs["rendered_image"] = share * colour
        mixed = share * colour[0] + (1 - share) * inputs["images"][0]
        found = cell_of(reconstruction_grid(**inputs), 1, 0, OVERLAY)
        np.testing.assert_allclose(found, enlarged(mixed, 2), atol=1)


def test_colours_beyond_the_range_are_clipped():
    inputs = frames(rows=1)
    inputs["rendered_image"][0, :, 3, 4] = torch.tensor([1.7, -0.2, 0.5])
    cell = cell_of(reconstruction_grid(**inputs), 1, 0, RENDERED)
    assert cell[6, 8].tolist() == [255, 0, 128]


def test_heatmap_keypoints_are_crosses_over_the_projection_only():
    inputs = frames(rows=1)
    plain = reconstruction_grid(**inputs)
    inputs["heatmap_keypoints_px"] = torch.full((1, 21, 2), 40.0)
    crossed = reconstruction_grid(**inputs)
    for column in (INPUT, DETECTED, OVERLAY, RENDERED, NOVEL):
        np.testing.assert_array_equal(cell_of(crossed, 1, 0, column), cell_of(plain, 1, 0, column))
    changed = cell_of(crossed, 1, 0, PROJECTED) != cell_of(plain, 1, 0, PROJECTED)
    rows, columns = np.nonzero(changed.any(axis=-1))
    # All 21 crosses lie on one another, about (40 + 0.5) · 2 − 0.5.
    assert (rows.min() + rows.max()) / 2 == pytest.approx(80.5, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(80.5, abs=1)
    assert np.all(np.abs(np.abs(rows - 80.5) - np.abs(columns - 80.5)) < 3)


def test_every_column_has_a_title_of_its_own():
    grid = reconstruction_grid(**frames())
    titles = np.split(grid[:TITLE_HEIGHT_PX], len(COLUMN_TITLES), axis=1)
    assert all((title < 128).any() for title in titles)
    assert len({title.tobytes() for title in titles}) == len(COLUMN_TITLES)


def test_the_same_frames_give_the_same_picture_and_stay_as_they_are():
    inputs = frames(size=128)
    inputs["heatmap_keypoints_px"] = inputs["projected_keypoints_px"] + 2
    before = {name: tensor.clone() for name, tensor in inputs.items()}
    first = reconstruction_grid(**inputs)
    np.testing.assert_array_equal(reconstruction_grid(**inputs), first)
    for name, tensor in inputs.items():
        assert torch.equal(tensor, before[name]), name


def test_hands_turn_about_their_own_vertical():
    random = np.random.default_rng(2)
    vertices = random.normal(scale=0.05, size=(3, 778, 3)) + random.normal(size=(3, 1, 3))
    for angle in (math.pi / 2, -0.7):
        turned = turned_about_vertical(torch.from_numpy(vertices), angle).numpy()
        rotation = Rotation.from_rotvec([0, angle, 0])
        for before, after in zip(vertices, turned, strict=True):
            centre = before.mean(axis=0)
            np.testing.assert_allclose(after, rotation.apply(before - centre) + centre, atol=1e-12)


def test_convention_a_quarter_turn_takes_depth_to_the_right():
    vertices = torch.tensor([[[0.0, 0.3, 0.5], [0.0, 0.3, 0.7]]])
    turned = turned_about_vertical(vertices, math.pi / 2)
    expected = torch.tensor([[[-0.1, 0.3, 0.6], [0.1, 0.3, 0.6]]])
    torch.testing.assert_close(turned, expected)
