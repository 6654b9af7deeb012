"""A contact sheet of a benchmark: ``python -m s2hand.synthetic.contact_sheet ROOT FILE``."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from s2hand.data.ho3d import load_ho3d
from s2hand.errors import DataError

COLUMNS, ROWS, TILE_PX = 8, 4, 144
_COLOURS = 256


def contact_sheet(root: Path) -> Image.Image:
    """Show pictures of the collection in the upper half, a hand of each sequence below.

    Raises:
        DataError: When ``root`` holds too few pictures.
    """
    collection = sorted((root / "freihand" / "training" / "rgb").glob("*.jpg"))
    table = load_ho3d(root / "ho3d", "train")
    half = COLUMNS * ROWS // 2
    if len(collection) < half or len(table.sample_ids) < half:
        raise DataError(f"{root}: a contact sheet needs {half} pictures of each set")
    tiles = [_tile(path, None) for path in collection[:half]]
    for index in np.linspace(0, len(table.sample_ids) - 1, half).astype(int):
        x0, y0, x1, y1 = (float(edge) for edge in table.crop_box_px[index])
        x, y, reach = (x0 + x1) / 2, (y0 + y1) / 2, 0.8 * max(x1 - x0, y1 - y0)
        box = (round(x - reach), round(y - reach), round(x + reach), round(y + reach))
        tiles.append(_tile(table.image_paths[index], box))
    sheet = Image.new("RGB", (COLUMNS * TILE_PX, ROWS * TILE_PX))
    for k, tile in enumerate(tiles):
        sheet.paste(tile, (k % COLUMNS * TILE_PX, k // COLUMNS * TILE_PX))
    return sheet.quantize(_COLOURS)


def _tile(path: Path, box: tuple[int, int, int, int] | None) -> Image.Image:
    with Image.open(path) as image:
        part = image if box is None else image.crop(box)
        return part.convert("RGB").resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    contact_sheet(Path(sys.argv[1])).save(sys.argv[2], optimize=True)
