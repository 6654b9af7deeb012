"""Where batches are made, and where the packed images lie meanwhile."""

from dataclasses import fields

import pytest
import torch
from blobs import with_copies

from s2hand.data import transfer
from s2hand.data.augmentation import Augmentation
from s2hand.data.dataset import FrameDataset
from s2hand.data.mixture import FrameMixture

CPU, META = torch.device("cpu"), torch.device("meta")
EVERYTHING = Augmentation(colour_jitter=0.3, picture_jitter=0.2)
ROWS = [3, 0, 2, 2]


def tensors_of(batch):
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value for name, value in columns.items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("name", ["collection", "sequence"])
def test_held_images_give_the_batches_of_those_that_are_brought(request, name, tmp_path):
    """Also of copies, and from a mapped file that is brought in several parts."""
    table = with_copies(request.getfixturevalue(name), tmp_path)
    dataset = FrameDataset(table, 64, augmentation=EVERYTHING, cache_dir=tmp_path / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "_IMAGES_PER_COPY", 3)
        held = dataset.to(CPU, holds_pixels=True)
    dataset.pixels._stored = None  # what is held needs no file
    for seed in range(3):
        generators = [torch.Generator().manual_seed(seed) for _ in range(2)]
        brought = FrameDataset(table, 64, augmentation=EVERYTHING)
        expected = brought.batch(ROWS, clip_length=2, generator=generators[0])
        found = held.batch(ROWS, clip_length=2, generator=generators[1])
        for column, values in tensors_of(expected).items():
            assert torch.equal(getattr(found, column), values), column


@pytest.mark.parametrize("holds_pixels", [False, True])
def test_all_but_the_samples_names_is_made_on_the_device(sequence, holds_pixels):
    dataset = FrameDataset(sequence, 64, augmentation=EVERYTHING, with_joints=True)
    on_meta = dataset.to(META, holds_pixels=holds_pixels)
    generators = [torch.Generator().manual_seed(2) for _ in range(2)]
    here = dataset.batch(ROWS, clip_length=2, generator=generators[0])
    there = on_meta.batch(ROWS, clip_length=2, generator=generators[1])
    assert there.clip_length == 2
    for column, values in tensors_of(here).items():
        found = getattr(there, column)
        assert (found.shape, found.dtype) == (values.shape, values.dtype)
        assert found.device == (CPU if column == "sample_index" else META), column
    # Each device sees the same: as many random numbers were drawn, in the same order.
    assert torch.equal(*(generator.get_state() for generator in generators))
    assert dataset.batch([0]).images.device == CPU  # the one that it was made of is left alone


def two_sets(sequence, collection):
    return [FrameDataset(sequence, 64), FrameDataset(collection, 64)]


@pytest.mark.parametrize("more_bytes", [0, -1])
def test_images_are_held_where_all_sets_together_fit_a_third_of_the_free_memory(
    sequence, collection, monkeypatch, caplog, more_bytes
):
    parts = two_sets(sequence, collection)
    # Sequences are packed with room for jitter.
    needed = 4 * 3 * (96**2 + 64**2)
    free = 3 * needed + 3 * more_bytes
    monkeypatch.setattr("s2hand.data.mixture.free_bytes", lambda _: free)
    with caplog.at_level("INFO", logger="s2hand.data.mixture"):
        mixture = FrameMixture(parts).to("meta")
    is_held = more_bytes == 0
    (line,) = caplog.messages
    assert ("held on meta" in line) == is_held
    assert ("brought to meta batch by batch" in line) == (not is_held)
    assert [part.pixels._held is not None for part in mixture._parts] == [is_held] * 2
    assert mixture.batch([5, 0, 1]).images.shape == (3, 3, 64, 64)


def test_a_cpu_has_no_other_memory_to_hold_images_in(sequence, collection, caplog):
    with caplog.at_level("INFO", logger="s2hand.data.mixture"):
        mixture = FrameMixture(two_sets(sequence, collection)).to("cpu")
    assert not caplog.messages
    assert all(part.pixels._held is None for part in mixture._parts)


def test_sets_on_a_device_are_joined_there(sequence, collection):
    parts = two_sets(sequence, collection)
    batch = FrameMixture(parts).to("meta").batch([6, 1, 4, 0])
    assert batch.sample_index.tolist() == [6, 1, 4, 0]
    for column, values in tensors_of(batch).items():
        assert values.device == (CPU if column == "sample_index" else META), column


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", ["collection", "sequence"])
def test_on_a_gpu_a_batch_is_that_of_the_cpu_and_nothing_waits_for_it(request, name, tmp_path):
    table = with_copies(request.getfixturevalue(name), tmp_path)
    dataset = FrameDataset(table, 64, augmentation=EVERYTHING, with_joints=True)
    expected = dataset.batch(ROWS, clip_length=2, generator=torch.Generator().manual_seed(1))
    found = []
    for holds_pixels in (True, False):
        on_gpu = dataset.to(torch.device("cuda", 0), holds_pixels=holds_pixels)
        on_gpu.batch(ROWS)  # loads kernels
        torch.cuda.synchronize()
        for _ in range(2):
            generator = torch.Generator().manual_seed(1)
            torch.cuda.set_sync_debug_mode("error")
            try:
                found.append(on_gpu.batch(ROWS, clip_length=2, generator=generator))
            finally:
                torch.cuda.set_sync_debug_mode("default")
    for column, values in tensors_of(expected).items():
        of_gpu = [getattr(batch, column).cpu() for batch in found]
        assert all(torch.equal(of_gpu[0], each) for each in of_gpu), column
        if column == "images":
            torch.testing.assert_close(of_gpu[0], values, atol=1e-3, rtol=0)
        else:
            assert torch.equal(of_gpu[0], values), column


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu_small_sets_are_held(sequence, caplog):
    with caplog.at_level("INFO", logger="s2hand.data.mixture"):
        mixture = FrameMixture([FrameDataset(sequence, 64)]).to("cuda")
    assert "held on cuda:" in caplog.messages[0]
    assert mixture.batch([0, 3]).images.device.type == "cuda"
