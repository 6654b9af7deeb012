"""Images packed once: the mapped file that processes share, and images that are damaged."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import with_copies
from PIL import Image

from s2hand.data import packing
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError


def test_packed_images_are_kept_and_shared_through_the_cache(sequence, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = FrameDataset(sequence, 64, cache_dir=cache).batch(range(4))
    (kept,) = cache.glob("*.npy")
    monkeypatch.setattr("s2hand.data.packing._decode", lambda *_: pytest.fail("decoded again"))
    again = FrameDataset(sequence, 64, cache_dir=cache).batch(range(4))
    assert torch.equal(first.images, again.images)
    monkeypatch.undo()
    assert torch.equal(first.images, FrameDataset(sequence, 64).batch(range(4)).images)
    blank = np.zeros((240, 320, 3), np.uint8)
    Image.fromarray(blank).save(sequence.image_paths[2])
    changed = FrameDataset(sequence, 64, cache_dir=cache).batch(range(4))
    assert changed.images[2].max() == 0
    assert len(list(cache.glob("*.npy"))) == 2
    assert kept.exists()


def test_processes_that_want_the_same_images_decode_them_once(sequence, tmp_path, monkeypatch):
    decoded = []
    decode = packing._decode

    def slow_decode(path, *rest):
        decoded.append(path)
        time.sleep(0.02)
        return decode(path, *rest)

    monkeypatch.setattr(packing, "_decode", slow_decode)
    with ThreadPoolExecutor(3) as pool:
        wanted = [pool.submit(FrameDataset, sequence, 64, cache_dir=tmp_path / "c") for _ in "abc"]
        first, second, third = (future.result().batch([0, 3]).images for future in wanted)
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert sorted(decoded) == sorted(sequence.image_paths)


def test_what_a_killed_process_left_is_written_over(sequence, tmp_path):
    cache = tmp_path / "cache"
    expected = FrameDataset(sequence, 64, cache_dir=cache).batch(range(4)).images
    (kept,) = cache.glob("*.npy")
    partial = kept.rename(kept.with_suffix(".partial"))
    partial.write_bytes(partial.read_bytes()[:100])
    again = FrameDataset(sequence, 64, cache_dir=cache).batch(range(4)).images
    assert torch.equal(again, expected)
    assert kept.exists()
    assert not partial.exists()


def test_failed_packing_leaves_nothing_to_be_taken_for_a_cache(sequence, tmp_path):
    sequence.image_paths[3].write_bytes(sequence.image_paths[3].read_bytes()[:200])
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match=r"0003.png: image must be a complete JPEG or PNG"):
        FrameDataset(sequence, 64, cache_dir=cache)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def told_to(calls: list, cache: Path) -> packing.PackingProgress:
    """Record what is told, and whether anything of the images is on the disk by then."""

    def progress(what, done, total):
        calls.append((what, done, total, any(path.suffix != ".lock" for path in cache.iterdir())))

    return progress


def test_the_size_is_told_before_and_progress_while_images_are_packed(
    sequence, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(packing, "_IMAGES_PER_CHUNK", 3)
    usage = type("Usage", (), {"free": 7_300_000_000})
    monkeypatch.setattr("s2hand.data.packing.shutil.disk_usage", lambda _: usage)
    cache, calls = tmp_path / "cache", []
    with caplog.at_level("INFO", logger="s2hand.data.packing"):
        FrameDataset(sequence, 200, cache_dir=cache, progress=told_to(calls, cache))
    (made,) = cache.glob("*.npy")
    # 4 images of 300 px (room for jitter) of 3 bytes a pixel.
    what = f"packing 4 images of 300 x 300 px, 1.1 MB, into {made} (7.3 GB are free)"
    assert [call[:3] for call in calls] == [(what, 0, 4), (what, 3, 4), (what, 4, 4)]
    assert [line.message for line in caplog.records] == [what]
    assert made.stat().st_size == pytest.approx(4 * 3 * 300 * 300, abs=200)
    calls.clear()
    FrameDataset(sequence, 200, cache_dir=cache, progress=told_to(calls, cache))
    assert not calls


def test_packing_into_memory_is_told_too(sequence):
    calls = []
    FrameDataset(sequence, 64, progress=lambda *call: calls.append(call))
    assert calls == [
        ("packing 4 images of 96 x 96 px, 0.1 MB, into memory", done, 4) for done in (0, 4)
    ]


def test_nothing_is_decoded_for_a_disk_without_the_room(sequence, tmp_path, monkeypatch):
    size = 4 * 3 * 96 * 96
    monkeypatch.setattr("s2hand.data.packing._decode", lambda *_: pytest.fail("decoded"))
    usage = type("Usage", (), {"free": size - 1})
    monkeypatch.setattr("s2hand.data.packing.shutil.disk_usage", lambda _: usage)
    cache = tmp_path / "cache"
    with pytest.raises(
        DataError,
        match=r"cache' must have room for 4 packed images: 0.1 MB are needed, 0.1 MB are free; fr",
    ):
        FrameDataset(sequence, 64, cache_dir=cache)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    monkeypatch.undo()
    usage.free = size
    monkeypatch.setattr("s2hand.data.packing.shutil.disk_usage", lambda _: usage)
    assert len(FrameDataset(sequence, 64, cache_dir=cache)) == 4


def test_the_room_of_what_a_killed_process_left_is_free_again(sequence, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    FrameDataset(sequence, 64, cache_dir=cache)
    (kept,) = cache.glob("*.npy")
    partial = kept.rename(kept.with_suffix(".partial"))

    def disk_usage(_folder):
        return type("Usage", (), {"free": 0 if partial.exists() else 10**6})

    monkeypatch.setattr("s2hand.data.packing.shutil.disk_usage", disk_usage)
    assert len(FrameDataset(sequence, 64, cache_dir=cache)) == 4


def test_an_interrupted_packing_leaves_nothing_and_is_done_again(sequence, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_IMAGES_PER_CHUNK", 1)
    cache = tmp_path / "cache"

    def stop(_what, done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FrameDataset(sequence, 64, cache_dir=cache, progress=stop)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    found = FrameDataset(sequence, 64, cache_dir=cache).batch(range(4)).images
    monkeypatch.undo()
    assert torch.equal(found, FrameDataset(sequence, 64).batch(range(4)).images)


def test_a_pack_that_does_not_say_what_is_damaged_is_made_again(sequence, tmp_path):
    cache = tmp_path / "cache"
    expected = FrameDataset(sequence, 64, cache_dir=cache).batch(range(4)).images
    (told,) = cache.glob("*.damaged.json")
    (kept,) = cache.glob("*.npy")
    told.unlink()
    kept.write_bytes(b"")
    assert torch.equal(FrameDataset(sequence, 64, cache_dir=cache).batch(range(4)).images, expected)
    assert told.exists()


def many_images(table: FrameTable, folder: Path, count: int = 100) -> FrameTable:
    """Repeat a table's frames, each with an image file of its own."""
    big = table.select(np.arange(count) % len(table))
    paths = []
    for row, path in enumerate(big.image_paths):
        paths.append(folder / f"many{row:03d}.png")
        paths[-1].write_bytes(path.read_bytes())
    return replace(big, image_paths=tuple(paths), sample_ids=tuple(map(str, range(count))))


@pytest.mark.parametrize("damage", ["header", "pixels", "sixteen bits"])
@pytest.mark.parametrize("cached", [False, True])
def test_a_damaged_image_is_left_out_and_told(collection, tmp_path, damage, cached):
    table = many_images(collection, tmp_path)
    path = table.image_paths[7]
    if damage == "sixteen bits":
        Image.fromarray(np.zeros((160, 160), np.uint16)).save(path)
    else:
        path.write_bytes(path.read_bytes()[: 5 if damage == "header" else 200])
    cache = tmp_path / "cache" if cached else None
    dataset = FrameDataset(table, 32, cache_dir=cache)
    kept = [str(row) for row in range(100) if row != 7]
    for each in (dataset, FrameDataset(table, 32, cache_dir=cache)):
        assert list(each.table.sample_ids) == kept
        assert each.table.notes == {
            "damaged images": f"1 of 100 cannot be decoded and are left out: "
            f"{tmp_path.name}/many007.png"
        }
        without = FrameDataset(table.select(np.array([6, 8])), 32)
        assert torch.equal(each.batch([6, 7]).images, without.batch([0, 1]).images)
        torch.testing.assert_close(
            each.batch([7]).detected_keypoints_px, without.batch([1]).detected_keypoints_px
        )
    table.image_paths[50].write_bytes(b"")
    with pytest.raises(DataError, match=r"many007.png: image .*; 2 of the 100 images .* up to 1%"):
        FrameDataset(table, 32, cache_dir=cache)


def test_a_missing_image_is_an_error_and_never_left_out(collection, tmp_path):
    table = many_images(collection, tmp_path)
    table.image_paths[7].unlink()
    with pytest.raises(DataError, match=r"many007.png: image is missing"):
        FrameDataset(table, 32)


def test_a_damaged_copy_costs_its_frame_nothing_but_that_copy(collection, tmp_path):
    table = many_images(with_copies(collection, tmp_path), tmp_path)
    dataset = FrameDataset(table, 32)
    original = table.image_paths[0]
    original.write_bytes(original.read_bytes()[:200])
    damaged = FrameDataset(table, 32)
    assert len(damaged.table) == len(dataset.table) == 100
    # The first copy stands for the original.
    assert round(255 * float(damaged.batch([0]).images[0, 0].max())) == 40
    assert "many000.png" in damaged.table.notes["damaged images"]
