"""The embedded hand's file is read into plain arrays, or refused with what to do."""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from s2hand.errors import HandModelError
from s2hand.hand import embedded
from s2hand.hand.embedded import embedded_hand, embedded_surface
from s2hand.hand.model_data import SHAPES

ASSET = Path(embedded.__file__).parent / "assets/embedded_hand.npz"


def test_arrays_are_those_of_the_file_in_types_that_can_be_computed_with() -> None:
    hand, surface = embedded_hand(), embedded_surface()
    read = {name: getattr(hand, name) for name in SHAPES} | {
        "face_part": surface.face_part,
        "corner_along": surface.corner_along,
        "corner_around": surface.corner_around,
    }
    integers = {"faces", "kintree_table", "face_part"}
    with np.load(ASSET) as archive:
        assert read.keys() == set(archive.files)
        for name, array in read.items():
            np.testing.assert_array_equal(array, archive[name])
            assert array.dtype == (np.int64 if name in integers else np.float64), name
    np.testing.assert_array_equal(surface.rest_positions, hand.v_template)
    assert surface.rest_positions.dtype == np.float64
    assert hand.source == "embedded"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the package's own file is looked for."""
    path = tmp_path / "hand.npz"
    monkeypatch.setattr(embedded, "_ASSET", str(path))
    embedded._asset.cache_clear()
    yield path
    embedded._asset.cache_clear()


def archive_of(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def broken(after: int) -> bytes:
    """Break the package's own file, so many bytes into its compressed template."""
    content = bytearray(ASSET.read_bytes())
    with ZipFile(ASSET) as archive:
        start = archive.getinfo("v_template.npy").header_offset
    lengths = (content[at : at + 2] for at in (start + 26, start + 28))  # of name and extra
    start += 30 + sum(int.from_bytes(length, "little") for length in lengths)
    content[start + after : start + after + 4] = b"\xff" * 4
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04 cut short", "not a zip file"),
        (pickle.dumps({}), "allow_pickle"),
        (None, "No such file"),
        (broken(after=0), "decompressing"),
        (broken(after=-4), "name"),
        (archive_of(v_template=np.zeros((778, 3))), "faces is not a file in the archive"),
        (archive_of(**dict.fromkeys(SHAPES, np.zeros(1))), "face_part is not a file"),
    ],
    ids=["cut", "pickle", "missing", "code", "name", "one array", "without its surface"],
)
def test_a_damaged_asset_is_refused(elsewhere: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        elsewhere.write_bytes(content)
    for read in (embedded_hand, embedded_surface):
        with pytest.raises(HandModelError, match=rf"make hand-asset.*{reason}.*install the packag"):
            read()
