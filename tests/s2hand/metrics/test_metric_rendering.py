import numpy as np
import pytest
import torch
import trimesh

from s2hand.metrics.rendering import photometric_error, silhouette_error, true_silhouettes


def scene(count: int, side: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((count, 3, side, side), generator=generator)
    silhouette = torch.rand((count, side, side), generator=generator)
    silhouette[:, : side // 2] = (silhouette[:, : side // 2] > 0.5).float()
    colour = torch.rand((count, 3, side, side), generator=generator)
    return image, silhouette[:, None] * colour, silhouette


def test_photometric_error_agrees_with_a_loop_over_pixels():
    image, rendered, silhouette = scene(2)
    expected = []
    for k in range(2):
        total, area = 0.0, 0.0
        for row in range(12):
            for column in range(12):
                alpha = float(silhouette[k, row, column])
                for c in range(3):
                    seen = alpha * float(image[k, c, row, column])
                    total += abs(seen - float(rendered[k, c, row, column]))
                    area += alpha
        expected.append(total / area)
    found = photometric_error(image, rendered, silhouette)
    assert found == pytest.approx(expected, rel=1e-12)  # sums of many pixels need double precision


def test_convention_a_rendering_on_black_that_fits_costs_nothing_even_at_soft_edges():
    image, _, silhouette = scene(3)
    fitting = silhouette[:, None] * image
    assert photometric_error(image, fitting, silhouette) == pytest.approx(np.zeros(3), abs=1e-7)
    darker = silhouette[:, None] * (image - 0.1)
    assert photometric_error(image, darker, silhouette) == pytest.approx([0.1] * 3, rel=1e-5)


def test_pixels_outside_the_rendered_hand_do_not_count():
    image, rendered, silhouette = scene(1)
    silhouette[:, 3:], rendered[:, :, 3:] = 0, 0
    changed = image.clone()
    changed[:, :, 3:] = 0.9
    before = photometric_error(image, rendered, silhouette)
    np.testing.assert_array_equal(photometric_error(changed, rendered, silhouette), before)


def test_nothing_rendered_has_no_photometric_error_and_misses_the_whole_silhouette():
    image, rendered, silhouette = scene(2)
    silhouette[1], rendered[1] = 0, 0
    found = photometric_error(image, rendered, silhouette)
    assert np.isfinite(found[0])
    assert np.isnan(found[1])
    there = torch.ones(2, 12, 12, dtype=torch.bool)
    assert silhouette_error(silhouette, there)[1] == 1


def squares(offset: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two squares of side 10; the second lies ``offset`` columns further right."""
    rendered = torch.zeros(1, 32, 32)
    rendered[:, 4:14, 4:14] = 1
    true = torch.zeros(1, 32, 32, dtype=torch.bool)
    true[:, 4:14, 4 + offset : 14 + offset] = True
    return rendered, true


def test_silhouette_error_of_shifted_squares():
    offsets = [0, 1, 4, 9, 10, 15]
    rendered, true = map(torch.cat, zip(*map(squares, offsets), strict=True))
    common = 10 * (10 - np.array(offsets)).clip(min=0)
    expected = 1 - common / (200 - common)
    assert silhouette_error(rendered, true) == pytest.approx(expected, rel=1e-14)


def test_convention_half_a_pixel_belongs_to_the_rendered_silhouette():
    rendered, true = squares(0)
    rendered[:, 14, 4:14] = 0.499
    assert silhouette_error(rendered, true)[0] == 0
    rendered[:, 14, 4:14] = 0.5
    assert silhouette_error(rendered, true)[0] == pytest.approx(1 - 100 / 110)


def test_two_empty_silhouettes_agree():
    nothing = torch.zeros(1, 8, 8)
    assert silhouette_error(nothing, nothing > 0) == pytest.approx([0])


def test_true_silhouettes_of_spheres_are_the_pixels_whose_rays_meet_them():
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=0.08)
    centres = np.array([[0.0, 0.0, 0.6], [0.06, -0.05, 0.5]])
    vertices = torch.from_numpy(np.asarray(sphere.vertices)[None] + centres[:, None]).float()
    camera = torch.tensor([[210.0, 0, 60], [0, 200.0, 52], [0, 0, 1]])
    found = true_silhouettes(vertices, camera.expand(2, 3, 3), np.asarray(sphere.faces), 112)
    columns, rows = np.meshgrid(np.arange(112), np.arange(112))
    rays = np.stack([(columns - 60) / 210, (rows - 52) / 200, np.ones_like(rows)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    for centre, silhouette in zip(centres, found.numpy(), strict=True):
        meets = np.linalg.norm(np.cross(rays, centre), axis=-1) < 0.08
        assert silhouette.dtype == bool
        assert 1500 < meets.sum() < 6000
        # The mesh lies within the sphere, by less than a pixel.
        assert not np.any(silhouette & ~meets)
        assert (meets & ~silhouette).sum() < 0.02 * meets.sum()


def test_convention_true_silhouettes_are_of_pixel_centres_and_of_both_sides():
    # A square at depth 1 that covers pixel coordinates 9.5..20.5 by 4.5..10.5.
    corners_px = torch.tensor([[9.5, 4.5], [20.5, 4.5], [20.5, 10.5], [9.5, 10.5]])
    camera = torch.tensor([[60.0, 0, 15.5], [0, 60.0, 15.5], [0, 0, 1]])
    vertices = torch.cat([(corners_px - 15.5) / 60, torch.ones(4, 1)], dim=1)
    expected = torch.zeros(1, 32, 32, dtype=torch.bool)
    expected[:, 5:11, 10:21] = True
    for faces in ([[0, 2, 1], [0, 3, 2]], [[0, 1, 2], [0, 2, 3]]):
        found = true_silhouettes(vertices[None], camera[None], np.array(faces), 32)
        assert torch.equal(found, expected)
