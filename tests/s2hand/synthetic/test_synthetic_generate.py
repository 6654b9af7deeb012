import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image

from s2hand.data.freihand import load_freihand
from s2hand.data.ho3d import load_ho3d
from s2hand.errors import DataError
from s2hand.geometry.cameras import project
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.fingertips import HO3D_FINGERTIPS
from s2hand.hand.joints import joint_permutation
from s2hand.hand.layer import HandLayer
from s2hand.hand.pickles import load_restricted
from s2hand.synthetic import SIZES, NamespaceSize, generate, make_synthetic
from s2hand.synthetic.collection import SHARD_IMAGES
from s2hand.synthetic.sequences import stored_size_px
from s2hand.synthetic.shard import ShardRecord, load_record, save_record

PX = 32
TINY_COUNTS = NamespaceSize(
    images=5, sequences=2, min_frames=4, max_frames=6, subjects=2, backgrounds=2, objects=2
)
TINY = dict.fromkeys(("training", "validation", "test"), TINY_COUNTS)


def make(root: Path, **changes: object) -> None:
    arguments = {"size": TINY, "seed": 3, "image_size_px": PX, "num_workers": 2, **changes}
    make_synthetic(root, **arguments)


def manifests(root: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("manifest.json")}
    assert set(found) == {"manifest.json", "validation/manifest.json"}
    return found


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture(scope="module")
def benchmark_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    make(root)
    return root


def test_manifests_list_every_file_with_its_hash(benchmark_root: Path) -> None:
    hashes = {
        benchmark_root / manifest.removesuffix("manifest.json") / name: digest
        for manifest, content in manifests(benchmark_root).items()
        for name, digest in json.loads(content)["files"].items()
    }
    found = {path for path in benchmark_root.rglob("*") if path.is_file()}
    assert set(hashes) == {path for path in found if path.name not in {"manifest.json", ".lock"}}
    for path, digest in hashes.items():
        assert sha256(path.read_bytes()).hexdigest() == digest


def test_same_seed_gives_same_bytes_with_any_number_of_workers(
    benchmark_root: Path, tmp_path: Path
) -> None:
    make(tmp_path, num_workers=1)
    assert manifests(tmp_path) == manifests(benchmark_root)


def test_other_seed_gives_other_pictures(benchmark_root: Path, tmp_path: Path) -> None:
    make(tmp_path, seed=4)
    name = "freihand/training/rgb/00000000.jpg"
    assert (tmp_path / name).read_bytes() != (benchmark_root / name).read_bytes()


def test_other_detections_are_another_set_of_the_same_pictures(
    benchmark_root: Path, tmp_path: Path
) -> None:
    make(tmp_path, detections="calibrated")
    usual, other = (
        json.loads((root / "manifest.json").read_text()) for root in (benchmark_root, tmp_path)
    )
    assert usual["parameters"]["detections"] == "simulated"
    assert other["parameters"] == usual["parameters"] | {"detections": "calibrated"}
    files = usual["files"]
    changed = {name for name in files if other["files"][name] != files[name]}
    assert changed == {name for name in files if "openpose" in name}
    with pytest.raises(DataError, match="detections: found calibrated, wanted simulated; choose"):
        make(tmp_path)


def test_interrupted_generation_continues_to_the_same_bytes(
    benchmark_root: Path, tmp_path: Path
) -> None:
    class InterruptionError(Exception):
        pass

    def interrupt(done: int, total: int) -> None:
        if done > total // 4:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        make(tmp_path, progress=interrupt, num_workers=1)
    assert not list(tmp_path.rglob("manifest.json"))
    assert not list(tmp_path.rglob("*.partial"))
    records = [load_record(path) for path in (tmp_path / ".unfinished").glob("*.npz")]
    assert len(records) > 2
    (tmp_path / next(iter(records[0].hashes))).unlink()
    (tmp_path / next(iter(records[1].hashes))).write_bytes(b"changed meanwhile")
    first_report: list[int] = []
    make(tmp_path, progress=lambda done, _: first_report.append(done))
    assert first_report[0] > 0, "finished work was not recognised"
    assert manifests(tmp_path) == manifests(benchmark_root)
    assert not list(tmp_path.rglob(".unfinished"))


def test_of_two_calls_at_once_one_works_and_the_other_waits(
    benchmark_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def count(path: Path, record: ShardRecord) -> None:
        made.append(path)
        save_record(path, record)

    monkeypatch.setattr(generate, "save_record", count)
    with ThreadPoolExecutor() as pool:
        for call in [pool.submit(make, tmp_path) for _ in range(2)]:
            call.result()
    assert len(made) == len(set(made)) > 0
    assert manifests(tmp_path) == manifests(benchmark_root)


def test_a_finished_set_needs_no_lock(benchmark_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(benchmark_root, tmp_path / "copy"))
    (root / ".lock").unlink()
    make(root)
    assert not (root / ".lock").exists()


def test_finished_set_is_left_alone_and_another_one_refused(benchmark_root: Path) -> None:
    def no_work(done: int, total: int) -> None:
        raise AssertionError(f"nothing should be made, got {done} of {total}")

    make(benchmark_root, progress=no_work)
    with pytest.raises(DataError, match=r"other parameters, seed: found 3, wanted 4; choose"):
        make(benchmark_root, seed=4)


def test_a_set_of_an_earlier_version_is_refused(benchmark_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(benchmark_root, tmp_path / "copy"))
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["parameters"]["generator_version"] = 2
    (root / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"benchmark of version 2, and version \d+ is made now"):
        make(root)


def test_a_finished_set_that_was_changed_is_refused(benchmark_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(benchmark_root, root)
    detections = next((root / "ho3d/openpose").glob("*/detect.json"))
    original = detections.read_bytes()
    written = detections.stat()
    detections.write_bytes(original.replace(b"0.", b"1.", 1))  # as long as before
    with pytest.raises(DataError, match=r"1 of \d+ files .*detect.json has another content"):
        make(root)
    os.utime(detections, ns=(written.st_atime_ns, written.st_mtime_ns))
    make(root)
    with pytest.raises(DataError, match=r"1 of \d+ files .*detect.json has another content"):
        make(root, verify=True)
    detections.write_bytes(original + b" ")
    with pytest.raises(DataError, match=r"detect.json has \d+ bytes, \d+ were written; delete"):
        make(root)
    detections.unlink()
    with pytest.raises(DataError, match=r"detect.json cannot be read \(No such file"):
        make(root)
    detections.write_bytes(original)  # later than the manifest, and the same
    make(root)
    make(root, verify=True)


def test_bad_arguments_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image_size_px must lie in 32\.\.512, got 16"):
        make(tmp_path, image_size_px=16)
    with pytest.raises(DataError, match="seed must not be negative, got -1"):
        make(tmp_path, seed=-1)
    with pytest.raises(DataError, match="num_workers must be at least 1, got 0"):
        make(tmp_path, num_workers=0)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(DataError, match=r"could not be written .*continues where it stopped"):
        make(blocked / "below")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest.json: must be what `s2hand data make"):
        make(tmp_path)


def test_unknown_detections_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would refuse them first
    with pytest.raises(DataError, match="one of simulated, calibrated, got 'perfect'"):
        make(tmp_path, detections="perfect")
    assert not list(tmp_path.iterdir())


def test_full_disk_is_reported_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(self: Path, target: Path) -> Path:
        if target.suffix == ".jpg":
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.rename(target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", no_space)
        with pytest.raises(DataError, match=r"\.jpg: could not be written .*No space left"):
            make(tmp_path)
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*.jpg"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_collection_reads_as_freihand(benchmark_root: Path, split: str) -> None:
    table = load_freihand(benchmark_root / "freihand", split)
    assert table.notes == {}
    assert len(table.sample_ids) == TINY_COUNTS.images
    assert size_of(table.image_paths[0]) == (PX, PX)
    projected = project(torch.from_numpy(table.joints), torch.from_numpy(table.intrinsics_px))
    inside = ((projected > -0.5) & (projected < PX - 0.5)).float().mean()
    assert inside > 0.9
    found = table.detection_confidence > 0
    error = np.linalg.norm(projected.numpy() - table.detected_keypoints_px, axis=-1)[found]
    assert np.median(error) < 0.08 * PX


def test_freihand_parameters_give_freihand_joints_and_vertices(benchmark_root: Path) -> None:
    folder = benchmark_root / "freihand"
    read = {
        name: np.array(json.loads((folder / f"training_{name}.json").read_text()))
        for name in ("mano", "xyz", "verts", "K", "scale")
    }
    mano = read["mano"][:, 0]
    output = HandLayer(embedded_hand(), dtype=torch.float64)(
        betas=torch.from_numpy(mano[:, 48:58]),
        global_orient=torch.from_numpy(mano[:, :3]),
        hand_pose=torch.from_numpy(mano[:, 3:48].reshape(-1, 15, 3)),
    )
    K = read["K"]
    root = np.concatenate([mano[:, 58:60] - K[:, :2, 2], K[:, :1, 0]], 1) / mano[:, 60:]
    assert_allclose(read["xyz"][:, 9], root, atol=2e-5)
    shift = root - output.joints[:, 9].numpy()
    assert_allclose(output.joints.numpy() + shift[:, None], read["xyz"], atol=3e-5)
    assert_allclose(output.vertices.numpy() + shift[:, None], read["verts"], atol=3e-5)
    bone = np.linalg.norm(read["xyz"][:, 9] - read["xyz"][:, 10], axis=1)
    assert_allclose(read["scale"], bone, atol=3e-6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_sequences_read_as_ho3d(benchmark_root: Path, split: str) -> None:
    table = load_ho3d(benchmark_root / "ho3d", split)
    assert table.notes == {}
    assert len(set(table.sequences)) == TINY_COUNTS.sequences
    assert size_of(table.image_paths[0]) == stored_size_px(PX)
    assert (table.joints[..., 2] > 0.2).all()
    projected = project(torch.from_numpy(table.joints), torch.from_numpy(table.intrinsics_px))
    found = table.detection_confidence > 0
    error = np.linalg.norm(projected.numpy() - table.detected_keypoints_px, axis=-1)[found]
    assert np.median(error) < 0.08 * PX


def test_convention_ho3d_parameters_are_opengl_and_absolute(benchmark_root: Path) -> None:
    layer = HandLayer(
        embedded_hand(), use_mean_pose=False, fingertips=HO3D_FINGERTIPS, dtype=torch.float64
    )
    paths = sorted((benchmark_root / "ho3d" / "train").glob("*/meta/*.pkl"))
    assert paths
    for path in paths:
        meta = load_restricted(path, what="HO-3D meta file")
        pose = torch.from_numpy(np.array(meta["handPose"]))
        output = layer(
            betas=torch.from_numpy(np.array(meta["handBeta"])),
            global_orient=pose[:3],
            hand_pose=pose[3:].reshape(15, 3),
            transl=torch.from_numpy(np.array(meta["handTrans"])),
        )
        order = joint_permutation("openpose", "mano_tips")
        assert_allclose(output.joints.numpy()[order], meta["handJoints3D"], atol=1e-9)
        assert (meta["handJoints3D"][:, 2] < 0).all(), "OpenGL looks along -z"


def test_truth_lies_only_where_the_official_sets_have_it(benchmark_root: Path) -> None:
    for path in (benchmark_root / "ho3d" / "evaluation").glob("*/meta/*.pkl"):
        meta = load_restricted(path, what="HO-3D meta file")
        assert not {"handPose", "handBeta", "handTrans"} & set(meta)
        assert np.shape(meta["handJoints3D"]) == (3,)
        assert np.shape(meta["handBoundingBox"]) == (4,)
    names = {path.name for path in benchmark_root.rglob("*.json")}
    assert "training_mano.json" in names
    assert "evaluation_mano.json" not in names
    pickled = next((benchmark_root / "ho3d").rglob("*.pkl")).read_bytes()
    assert b"numpy.core.multiarray" in pickled
    assert b"numpy._core" not in pickled


def test_a_pretraining_set_has_no_truth_and_loads(tmp_path: Path) -> None:
    size = NamespaceSize(images=SHARD_IMAGES + 2, subjects=2, backgrounds=2, objects=2)
    make(tmp_path, size={"pretraining": size})
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")}
    detections = "freihand/openpose_v2/training/detect_all.json"
    assert found == {"manifest.json", "freihand/training_K.json", detections}
    table = load_freihand(tmp_path / "freihand", "train")
    assert table.notes == {}
    assert len(table) == SHARD_IMAGES + 2
    assert table.joints is None
    names = json.loads((tmp_path / detections).read_text())[2]
    assert [name for (name,) in names] == [path.name for path in table.image_paths]
    # Detections are written whole, in pieces: each still fits its own picture's crop.
    assert (table.detection_confidence > 0).mean() > 0.8


def mean_frames(size: NamespaceSize) -> float:
    """The integral of min + (max - min) u ** skew over u from 0 to 1."""
    return size.min_frames + (size.max_frames - size.min_frames) / (1 + size.length_skew)


def test_sizes_grow_from_demo_to_the_official_ones() -> None:
    assert SIZES["full"]["training"].images == 32_560
    assert SIZES["full"]["test"].images == 3960
    for namespace in ("training", "validation", "test"):
        sizes = [SIZES[name][namespace] for name in ("demo", "small", "full")]
        frames = [s.sequences * mean_frames(s) for s in sizes]
        assert frames == sorted(frames)
    assert abs(frames[-1] - 11_500) < 200


@pytest.mark.parametrize("skew", [1.0, 8.0])
def test_lengths_of_sequences_have_the_stated_range_and_mean(skew: float) -> None:
    size = replace(TINY_COUNTS, min_frames=8, max_frames=36, length_skew=skew)
    generator = np.random.default_rng(0)
    lengths = np.array([size.num_frames(generator) for _ in range(20_000)])
    assert (lengths.min(), lengths.max()) == (8, 36)
    assert abs(lengths.mean() - mean_frames(size)) < 0.5
    assert abs(np.median(lengths) - (8 + 29 * 0.5**skew)) < 1
