"""Which pictures stand where on a contact sheet, and what of them is seen."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from s2hand.errors import DataError
from s2hand.synthetic import contact_sheet as module
from s2hand.synthetic.contact_sheet import COLUMNS, ROWS, TILE_PX, contact_sheet

HALF = COLUMNS * ROWS // 2
SIZE_PX = 200
BOX_PX = (60, 50, 110, 70)
"""Not square, and off the picture's middle."""


def colour(number: int) -> tuple[int, int, int]:
    """Return one of 64 colours that are far from each other, and none of them black."""
    return tuple(40 + 70 * (number // 4**place % 4) for place in range(3))


def save(path: Path, inside: tuple[int, int, int], outside: tuple[int, int, int]) -> Path:
    picture = np.full((SIZE_PX, SIZE_PX, 3), outside, np.uint8)
    x0, y0, x1, y1 = BOX_PX
    picture[y0:y1, x0:x1] = inside
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, format="PNG")  # exact, whatever its name says
    return path


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    """Make a collection, and sequences whose boxes have another colour than what lies around."""

    def make(num_pictures: int, num_frames: int) -> Path:
        for number in range(num_pictures):
            save(
                tmp_path / "freihand" / "training" / "rgb" / f"{number:08d}.jpg",
                colour(number),
                colour(number),
            )
        frames = [
            save(tmp_path / "frames" / f"{number}.png", colour(number), (0, 0, 0))
            for number in range(num_frames)
        ]
        table = SimpleNamespace(
            sample_ids=[path.stem for path in frames],
            image_paths=frames,
            crop_box_px=np.array([BOX_PX] * num_frames, np.float32),
        )
        asked = []
        monkeypatch.setattr(module, "load_ho3d", lambda *args: asked.append(args) or table)
        make.asked = asked
        return tmp_path

    return make


def at(sheet: Image.Image, tile: int, x: float, y: float) -> np.ndarray:
    """Return the colour at a place of a tile, in shares of its side from its middle."""
    column, row = tile % COLUMNS, tile // COLUMNS
    place = (int((column + 0.5 + x) * TILE_PX), int((row + 0.5 + y) * TILE_PX))
    return np.array(sheet.getpixel(place))


def is_close(found: np.ndarray, wanted: tuple[int, int, int]) -> bool:
    return bool(np.abs(found - wanted).max() < 20)


def test_the_first_pictures_above_and_hands_from_all_along_the_sequences_below(benchmark):
    frames = 2 * HALF - 1
    root = benchmark(HALF + 5, frames)
    sheet = contact_sheet(root)
    assert benchmark.asked == [(root / "ho3d", "train")]
    assert (sheet.size, sheet.mode) == ((COLUMNS * TILE_PX, ROWS * TILE_PX), "P")
    sheet = sheet.convert("RGB")
    for tile in range(HALF):
        for x in (-0.45, 0.0, 0.45):
            assert is_close(at(sheet, tile, x, x), colour(tile))
    for tile in range(HALF):
        shown = colour(2 * tile)  # every second of them: the first and the last are there
        # 1.6 times the longer side of the box is seen: it fills 0.625 of the width, 0.25 of the
        # height.
        for x, y in ((0, 0), (-0.28, 0), (0.28, 0), (0, -0.1), (0, 0.1)):
            assert is_close(at(sheet, HALF + tile, x, y), shown)
        for x, y in ((-0.35, 0), (0.35, 0), (0, -0.16), (0, 0.16)):
            assert is_close(at(sheet, HALF + tile, x, y), (0, 0, 0))


@pytest.mark.parametrize(("pictures", "frames"), [(HALF - 1, HALF), (HALF, HALF - 1)])
def test_too_few_pictures_are_refused(benchmark, pictures, frames):
    root = benchmark(pictures, frames)
    with pytest.raises(DataError, match=f"a contact sheet needs {HALF} pictures of each set"):
        contact_sheet(root)


def test_as_many_as_there_are_places_are_enough(benchmark):
    sheet = contact_sheet(benchmark(HALF, HALF)).convert("RGB")
    assert is_close(at(sheet, COLUMNS * ROWS - 1, 0, 0), colour(HALF - 1))
