"""The embedded hand's file is read into plain arrays, or refused with what to do."""

import pickle
from collections.abc import Iterator
from pathlib import Path

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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04 cut short", "not a zip file"),
        (pickle.dumps({}), "allow_pickle"),
        (None, "No such file"),
    ],
    ids=["cut", "pickle", "missing"],
)
def test_a_damaged_asset_is_refused(elsewhere: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        elsewhere.write_bytes(content)
    for read in (embedded_hand, embedded_surface):
        with pytest.raises(HandModelError, match=rf"make hand-asset.*{reason}.*install the packag"):
            read()
