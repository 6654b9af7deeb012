from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import blob_table, centroid, seen_joints, with_copies
from PIL import Image

from s2hand.config import ModelConfig, S2HandConfig
from s2hand.data.augmentation import Augmentation, crop_boxes, margin_boxes
from s2hand.data.dataset import FrameDataset
from s2hand.data.left_hands import mirror_left_hands
from s2hand.data.sample import Batch, FrameTable
from s2hand.errors import DataError

FRAMES = ["turned_camera", "dataset_camera"]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("cropped", [False, True])
@pytest.mark.parametrize("augmented", [False, True])
def test_keypoints_follow_the_image(tmp_path, cropped, augmented, frame):
    height = 240 if cropped else 320
    table = blob_table(tmp_path, width=320, height=height, cropped=cropped, count=6)
    generator = torch.Generator().manual_seed(3) if augmented else None
    batch = FrameDataset(table, 96, frame=frame).batch(range(6), generator=generator)
    for image, keypoints in zip(batch.images, batch.detected_keypoints_px, strict=True):
        assert image.max() > 0.7
        np.testing.assert_allclose(centroid(image), keypoints[0].numpy(), atol=0.15)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", ["collection", "sequence"])
@pytest.mark.parametrize("augmented", [False, True])
def test_the_input_s_camera_sees_the_true_hand_where_the_keypoints_are(
    request, name, augmented, frame
):
    """Truth stays in the dataset camera's frame, whether crops are jittered and turned or not."""
    table = request.getfixturevalue(name)
    generator = torch.Generator().manual_seed(5) if augmented else None
    batch = FrameDataset(table, 96, frame=frame).batch(range(4), generator=generator)
    projected = seen_joints(table, batch)
    torch.testing.assert_close(projected, batch.detected_keypoints_px, atol=2e-3, rtol=0)


def test_true_joints_are_in_a_batch_where_a_training_may_see_them(sequence):
    """In the dataset camera's frame, whatever is cropped and turned, as predictions are."""
    settings = {"augmentation": Augmentation(rotation_deg=90.0)}
    generator = torch.Generator().manual_seed(5)
    unseen = FrameDataset(sequence, 96, **settings).batch([2, 0], generator=generator)
    assert unseen.joints is None
    seen = FrameDataset(sequence, 96, with_joints=True, **settings)
    generator.manual_seed(5)
    batch = seen.batch([2, 0], generator=generator)
    np.testing.assert_array_equal(batch.joints, sequence.joints[[2, 0]])
    assert torch.equal(batch.images, unseen.images)
    without = FrameDataset(replace(sequence, joints=None), 96, with_joints=True)
    assert without.batch([1]).joints is None


@pytest.mark.parametrize("name", ["collection", "sequence"])
def test_a_turned_picture_is_that_of_a_turned_camera(name, request):
    """The camera is A·K·Rᵀ and its rotation undoes the turn; both follow from the keypoints."""
    table = request.getfixturevalue(name)
    settings = {"frame": "dataset_camera", "augmentation": Augmentation(crop_jitter=False)}
    dataset = FrameDataset(table, 96, **settings)
    upright = dataset.batch(range(4))
    turned = dataset.batch(range(4), generator=torch.Generator().manual_seed(1))
    for sample in range(4):
        middle = torch.tensor([47.5, 47.5])
        before, after = (b.detected_keypoints_px[sample] - middle for b in (upright, turned))
        cross = (before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]).sum()
        angle = torch.atan2(cross, (before * after).sum())
        cosine, sine = angle.cos(), angle.sin()
        turn = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        torch.testing.assert_close(turned.camera_rotation[sample], turn.T, atol=1e-5, rtol=0)
        offset = middle - turn[:2, :2] @ middle
        affine = torch.cat((turn[:, :2], torch.tensor([[offset[0]], [offset[1]], [1]])), dim=1)
        expected = affine @ upright.intrinsics_px[sample] @ turn.T
        torch.testing.assert_close(turned.intrinsics_px[sample], expected, atol=5e-3, rtol=0)


def test_only_sequences_of_turned_cameras_are_turned(collection, sequence):
    unturned = torch.eye(3).expand(4, 3, 3)
    for table, frame, expected in (
        (collection, "turned_camera", True),
        (sequence, "dataset_camera", True),
        (sequence, "turned_camera", False),
    ):
        batch = FrameDataset(table, 96, frame=frame).batch(range(4))
        assert torch.equal(batch.camera_rotation, unturned) == expected
        central = torch.full((4, 2), 47.5)
        assert torch.allclose(batch.intrinsics_px[:, :2, 2], central, atol=1e-4) != expected


def test_the_configuration_says_whose_picture_a_crop_is(sequence):
    for frame in FRAMES:
        config = S2HandConfig(model=ModelConfig(frame=frame, image_size_px=96))
        batch = FrameDataset.from_config(sequence, config).batch(range(4))
        expected = FrameDataset(sequence, 96, frame=frame).batch(range(4))
        assert torch.equal(batch.intrinsics_px, expected.intrinsics_px)
        assert torch.equal(batch.images, expected.images)


def test_rotation_keeps_a_central_square_camera(collection):
    camera = np.array([[200, 0, 79.5], [0, 200, 79.5], [0, 0, 1]], np.float32)
    table = replace(collection, intrinsics_px=np.tile(camera, (4, 1, 1)))
    batch = FrameDataset(table, 160).batch(range(4), generator=torch.Generator().manual_seed(2))
    expected = torch.from_numpy(table.intrinsics_px)
    torch.testing.assert_close(batch.intrinsics_px, expected, atol=1e-4, rtol=0)


def test_rotation_stays_within_its_setting(collection):
    dataset = FrameDataset(collection, 96, augmentation=Augmentation(rotation_deg=20.0))
    generator = torch.Generator().manual_seed(0)
    upright = dataset.batch([0]).detected_keypoints_px[0] - 47.5
    angles = []
    for _ in range(100):
        turned = dataset.batch([0], generator=generator).detected_keypoints_px[0] - 47.5
        cross = (upright[:, 0] * turned[:, 1] - upright[:, 1] * turned[:, 0]).sum()
        angles.append(float(torch.rad2deg(torch.atan2(cross, (upright * turned).sum()))))
    assert max(np.abs(angles)) <= 20.001
    assert max(angles) > 15
    assert min(angles) < -15


def test_pictures_are_enlarged_and_shifted_within_their_setting(collection):
    """Image, keypoints and camera agree; enlargement and shift reach their bounds, no farther."""
    jitter = Augmentation(rotation_deg=0.0, picture_jitter=0.2)
    dataset = FrameDataset(collection, 96, augmentation=jitter)
    middle = torch.tensor([47.5, 47.5])
    whole = dataset.batch([0])
    generator = torch.Generator().manual_seed(0)
    zooms, shifts = [], []
    for _ in range(200):
        batch = dataset.batch([0], generator=generator)
        spot = batch.detected_keypoints_px[0, 0]
        np.testing.assert_allclose(centroid(batch.images[0]), spot.numpy(), atol=0.2)
        seen = seen_joints(collection, batch)
        torch.testing.assert_close(seen, batch.detected_keypoints_px, atol=2e-3, rtol=0)
        zoom = batch.intrinsics_px[0, 0, 0] / whole.intrinsics_px[0, 0, 0]
        unshifted = middle + zoom * (whole.detected_keypoints_px[0, 0] - middle)
        zooms.append(float(zoom.log()))
        shifts.append((spot - unshifted).numpy() / 96)
    for values, bound in ((np.array(zooms), 0.2), (np.array(shifts), 0.05)):
        assert np.abs(values).max() <= bound + 1e-4
        assert (values.max(axis=0) > 0.9 * bound).all()
        assert (values.min(axis=0) < -0.9 * bound).all()


def test_jittered_pictures_are_those_of_unjittered_ones_without_a_generator(collection):
    jittered = FrameDataset(collection, 96, augmentation=Augmentation(picture_jitter=0.3))
    torch.testing.assert_close(
        jittered.batch([0, 1]).detected_keypoints_px,
        FrameDataset(collection, 96).batch([0, 1]).detected_keypoints_px,
    )


def test_an_image_at_its_own_size_is_passed_through_exactly(collection):
    batch = FrameDataset(collection, 160).batch([1, 3])
    for image, row in zip(batch.images, (1, 3), strict=True):
        with Image.open(collection.image_paths[row]) as stored:
            expected = np.asarray(stored).transpose(2, 0, 1) / 255
        np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)


def test_same_generator_state_gives_the_same_batch(sequence):
    dataset = FrameDataset(sequence, 64)
    first, again, other = (
        dataset.batch(range(4), generator=torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)
    )
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.intrinsics_px, again.intrinsics_px)
    assert not torch.equal(first.intrinsics_px, other.intrinsics_px)


def test_jitter_is_shared_by_the_frames_of_a_clip(sequence):
    same = replace(sequence, crop_box_px=np.tile(sequence.crop_box_px[:1], (4, 1)))
    batch = FrameDataset(same, 64).batch(
        [0, 1, 2, 3], clip_length=2, generator=torch.Generator().manual_seed(0)
    )
    assert batch.clip_length == 2
    assert torch.equal(batch.intrinsics_px[0], batch.intrinsics_px[1])
    assert torch.equal(batch.intrinsics_px[2], batch.intrinsics_px[3])
    assert not torch.equal(batch.intrinsics_px[0], batch.intrinsics_px[2])
    assert batch.sample_index.tolist() == [0, 1, 2, 3]


def test_without_jitter_a_generator_changes_nothing(sequence):
    dataset = FrameDataset(
        sequence, 64, augmentation=Augmentation(rotation_deg=0.0, crop_jitter=False)
    )
    drawn = dataset.batch([0, 1], generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.images, dataset.batch([0, 1]).images)


def sizes(width: float, height: float, count: int = 1) -> torch.Tensor:
    return torch.tensor([[width, height]], dtype=torch.float64).expand(count, 2)


def test_crop_box_follows_the_published_steps():
    extent = torch.tensor([[300.0, 180, 420, 320]], dtype=torch.float64)
    noise, zoom = torch.tensor([[0.4, -1.2]]).double(), torch.tensor([0.83]).double()
    box = crop_boxes(extent, sizes(640, 480), centre_noise=noise, zoom=zoom)[0]
    centre = np.array([360 + 2.0, 250 - 6.0])
    low, high = np.array([290, 170]), np.array([430, 330])
    side = 4 * max((high - centre).max(), (centre - low).max()) / 0.83
    np.testing.assert_allclose(box, [*(centre - side / 2), *(centre + side / 2)], rtol=1e-6)


def test_crops_of_a_smaller_copy_show_the_same():
    """Also where both copies are in one set."""
    extent = torch.tensor([[300.0, 180, 420, 320], [5, 5, 20, 470]], dtype=torch.float64)
    both = torch.cat((extent, extent / 4))
    large, small = crop_boxes(both, torch.cat((sizes(640, 480, 2), sizes(160, 120, 2)))).split(2)
    torch.testing.assert_close(small * 4, large)


def random_extents(count: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    low = torch.rand(count, 2, generator=random, dtype=torch.float64) * 500 - 30
    return torch.cat((low, low + 5 + torch.rand(count, 2, generator=random) * 300), dim=1)


def test_margin_holds_every_jittered_crop():
    extent, stored = random_extents(500), sizes(640, 480, 500)
    noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(1)).double() * 3
    box = crop_boxes(extent, stored, centre_noise=noise, zoom=torch.full((500,), 0.8).double())
    margin = margin_boxes(extent, stored)
    assert torch.all(margin[:, :2] <= box[:, :2] + 1e-5)
    assert torch.all(margin[:, 2:] >= box[:, 2:] - 1e-5)


@pytest.mark.parametrize("focal", [614.0, 250.0])
def test_nothing_that_a_turned_crop_sees_of_the_image_is_missing(tmp_path, focal):
    """On white pictures of any hand's place the crop is white where its rays meet the image."""
    count, width, height = 24, 640, 480
    Image.new("RGB", (width, height), "white").save(tmp_path / "white.png")
    random = np.random.default_rng(0)
    low = random.uniform([0, 0], [560, 400], (count, 2))
    extent = np.concatenate([low, low + random.uniform(20, 250, (count, 2))], axis=1)
    camera = np.array([[focal, 0, 322.0], [0, focal, 238], [0, 0, 1]], np.float32)
    table = FrameTable(
        sample_ids=tuple(str(row) for row in range(count)),
        image_paths=(tmp_path / "white.png",) * count,
        intrinsics_px=np.tile(camera, (count, 1, 1)),
        sequences=("A",) * count,
        frames=np.arange(count),
        detected_keypoints_px=np.tile(low[:, None], (1, 21, 1)).astype(np.float32),
        detection_confidence=np.ones((count, 21), np.float32),
        crop_box_px=extent.astype(np.float32),
    )
    dataset = FrameDataset(table, 96, augmentation=Augmentation(rotation_deg=0.0))
    y, x = np.mgrid[:96, :96]
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    for seed in range(8):
        batch = dataset.batch(range(count), generator=torch.Generator().manual_seed(seed))
        for row in range(count):
            rays = pixels @ np.linalg.inv(batch.intrinsics_px[row].double().numpy()).T
            seen = rays @ (camera @ batch.camera_rotation[row].numpy()).T
            stored = seen[:, :2] / seen[:, 2:]
            depth = np.clip(
                np.minimum(stored, np.array([width - 1, height - 1]) - stored), -1e4, 1e4
            )
            inside = depth.min(axis=1) * np.sign(seen[:, 2])
            brightness = batch.images[row, 0].flatten().numpy()
            front = seen[:, 2] > 0
            assert np.all(brightness[front & (inside > 12)] > 0.99)
            assert np.all(brightness[~front | (inside < -12)] < 0.01)


@pytest.mark.parametrize("name", ["collection", "sequence"])
def test_images_of_one_set_may_differ_in_size(request, name):
    """A copy of half the size, with its camera and annotations, gives the same batch."""
    table = request.getfixturevalue(name)
    row = 2
    shrink = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    for field in ("intrinsics_px", "detected_keypoints_px", "crop_box_px"):
        values = getattr(table, field).copy()
        is_camera = field == "intrinsics_px"
        values[row] = shrink @ values[row] if is_camera else 0.5 * values[row] - 0.25
        table = replace(table, **{field: values})
    whole = FrameDataset(request.getfixturevalue(name), 64).batch([row])
    with Image.open(table.image_paths[row]) as image:
        small = image.reduce(2)
    small.save(table.image_paths[row])
    batch = FrameDataset(table, 64).batch(range(4))
    camera = (batch.intrinsics_px[row], batch.camera_rotation[row])
    torch.testing.assert_close(camera[0], whole.intrinsics_px[0], atol=0.05, rtol=2e-3)
    torch.testing.assert_close(camera[1], whole.camera_rotation[0], atol=1e-3, rtol=0)
    keypoints_px = batch.detected_keypoints_px
    torch.testing.assert_close(keypoints_px[row], whole.detected_keypoints_px[0], atol=0.1, rtol=0)
    torch.testing.assert_close(seen_joints(table, batch), keypoints_px, atol=5e-3, rtol=0)
    for image, keypoints in zip(batch.images, keypoints_px, strict=True):
        np.testing.assert_allclose(centroid(image), keypoints[0].numpy(), atol=0.15)


def test_wrong_sizes_are_named(collection):
    camera = np.array([[200, 0, 60], [0, 200, 60], [0, 0, 1]], np.float32)
    shifted = replace(collection, intrinsics_px=np.tile(camera, (4, 1, 1)))
    Image.new("RGB", (300, 300)).save(shifted.image_paths[2])
    with pytest.raises(DataError, match=r"0002.png: .*point must lie .* 300x300 .* \(60.0, 60.0\)"):
        FrameDataset(shifted, 64)
    Image.new("RGB", (160, 120)).save(shifted.image_paths[1])
    with pytest.raises(DataError, match=r"0001.png: .*must be square, got 160x120 px"):
        FrameDataset(collection, 64)
    shifted.image_paths[0].unlink()
    with pytest.raises(DataError, match=r"0000.png: image is missing"):
        FrameDataset(collection, 64)


def test_inconsistent_tables_and_ragged_clips_are_refused(sequence):
    with pytest.raises(DataError, match=r"FrameTable.sequences must have one entry per sample"):
        replace(sequence, sequences=("A",))
    boxes = sequence.crop_box_px.copy()
    boxes[1] = np.nan
    with pytest.raises(DataError, match=r"crop_box_px .* got NaN for 1 of 4 frames"):
        replace(sequence, crop_box_px=boxes)
    with pytest.raises(ValueError, match="whole clips of 3 frames, got 4"):
        FrameDataset(sequence, 64).batch(range(4), clip_length=3)


def test_colour_jitter_is_a_bounded_gain_and_offset_per_clip_and_channel(sequence):
    settings = {"rotation_deg": 0.0, "crop_jitter": False}
    plain, jittered = (
        FrameDataset(
            sequence, 64, augmentation=Augmentation(**settings, colour_jitter=strength)
        ).batch(range(4), clip_length=2, generator=torch.Generator().manual_seed(0))
        for strength in (0.0, 0.3)
    )
    maps = []
    for clip in range(2):
        for channel in range(3):
            before = plain.images[2 * clip : 2 * clip + 2, channel].flatten().numpy()
            after = jittered.images[2 * clip : 2 * clip + 2, channel].flatten().numpy()
            inside = (after > 0.01) & (after < 0.99)
            gain, offset = np.polyfit(before[inside], after[inside], 1)
            np.testing.assert_allclose(after[inside], gain * before[inside] + offset, atol=1e-4)
            assert abs(gain - 1) <= 0.3
            assert abs(offset) <= 0.15
            maps.append((gain, offset))
    assert np.ptp(np.array(maps), axis=0).min() > 0.05
    assert jittered.images.min() >= 0
    assert jittered.images.max() <= 1


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", ["collection", "sequence"])
def test_a_left_hand_enters_the_network_as_the_right_hand_that_it_is_mirrored_to(
    request, tmp_path, name, frame
):
    """A set of pictures that were mirrored beforehand gives the same batch."""
    table = request.getfixturevalue(name)
    is_left = np.array([False, True, False, True])
    paths = list(table.image_paths)
    for row in np.flatnonzero(is_left):
        paths[row] = tmp_path / f"mirrored{row}.png"
        with Image.open(table.image_paths[row]) as image:
            width = image.width
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(paths[row])
    confidence = table.detection_confidence.copy()
    keypoints = table.detected_keypoints_px.copy()
    confidence[1, 5], keypoints[1, 5] = 0, 0
    table = replace(table, detection_confidence=confidence, detected_keypoints_px=keypoints)
    found = mirror_left_hands(table, is_left, np.full(4, width))
    assert np.all(found.detected_keypoints_px[1, 5] == 0)
    np.testing.assert_array_equal(found.select(np.array([3, 0])).is_mirrored, [True, False])
    beforehand = replace(found, image_paths=tuple(paths), is_mirrored=None)
    cache = tmp_path / "cache"

    def batch(each: FrameTable, cache_dir: Path | None = None) -> Batch:
        generator = torch.Generator().manual_seed(4)
        dataset = FrameDataset(each, 64, frame=frame, cache_dir=cache_dir)
        return dataset.batch(range(4), generator=generator)

    seen, expected = batch(found), batch(beforehand)
    assert torch.equal(seen.images, expected.images)
    visible = torch.from_numpy(found.detection_confidence > 0)
    torch.testing.assert_close(
        seen_joints(found, seen)[visible], seen.detected_keypoints_px[visible], atol=2e-3, rtol=0
    )
    # The same files with the same boxes, not mirrored, are another cached pack.
    batch(replace(found, is_mirrored=None), cache)
    assert torch.equal(batch(found, cache).images, expected.images)


def test_a_set_without_left_hands_is_left_as_it_is(sequence):
    assert mirror_left_hands(sequence, np.zeros(4, bool), np.full(4, 320)) is sequence


def test_copies_are_drawn_anew_in_training_and_never_without(collection, tmp_path):
    table = with_copies(collection, tmp_path)
    dataset = FrameDataset(table, 160, augmentation=Augmentation(rotation_deg=0.0))
    first = FrameDataset(collection, 160).batch(range(4))
    assert torch.equal(dataset.batch(range(4)).images, first.images)

    def reds(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        batches = [dataset.batch(range(4), generator=generator) for _ in range(60)]
        return [[round(255 * float(each[0, 0, 0])) for each in b.images] for b in batches]

    drawn = reds(0)
    assert drawn == reds(0)
    assert drawn != reds(1)
    for row in range(3):
        found = [batch[row] for batch in drawn]
        shares = [found.count(red) / 60 for red in (0, 40, 80)]
        assert sum(shares) == 1
        assert min(shares) > 0.15  # a third each; 1 of 10,000 such rows has less
    assert {batch[3] for batch in drawn} == {0}
    # Each copy is its own frame's: greens are ten times the row.
    batch = dataset.batch([1, 2], generator=torch.Generator().manual_seed(3))
    for image, row in zip(batch.images, (1, 2), strict=True):
        is_copy = float(image[0, 0, 0]) > 0
        greenest = round(255 * float(image[1].max()))
        assert greenest == 10 * row if is_copy else greenest > 200
    assert table.select(np.array([3, 1])).copies == (table.copies[3], table.copies[1])


def test_a_set_without_copies_draws_the_numbers_that_it_always_drew(collection):
    without, empty = collection, replace(collection, copies=((),) * 4)
    batches = [
        FrameDataset(each, 64).batch(range(4), generator=torch.Generator().manual_seed(5))
        for each in (without, empty)
    ]
    assert torch.equal(batches[0].images, batches[1].images)


def test_a_copy_of_another_size_is_refused(collection, tmp_path):
    table = with_copies(collection, tmp_path)
    Image.new("RGB", (80, 80)).save(table.copies[1][1])
    with pytest.raises(DataError, match=r"copy1_1.png: a copy must be as large .* 80x80 and 160x"):
        FrameDataset(table, 64)
