"""Small pictures of a few held-out samples, always the same ones, for pages."""

import io
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from s2hand.data.dataset import FrameDataset
from s2hand.drawing import draw_frames
from s2hand.model import S2Hand

NUM_SAMPLES = 12
SIDE_PX = 128
_QUALITY = 80


def pictured(sample_ids: Sequence[str]) -> list[int]:
    """Choose the samples that are shown, by a hash, so that no result chooses; return places."""
    places = range(len(sample_ids))
    by_hash = sorted(places, key=lambda place: sha256(sample_ids[place].encode()).digest())
    return sorted(by_hash[:NUM_SAMPLES])


def draw(model: S2Hand, frames: FrameDataset) -> dict[str, dict[str, bytes]]:
    """Draw what a model makes of them: sample → ``input``, ``overlay``, … → WebP."""
    places = pictured(frames.table.sample_ids)
    device = next(model.parameters()).device
    drawn = draw_frames(model, frames.batch(places).to(device))
    return {
        frames.table.sample_ids[place]: {
            kind: _webp(pictures[row]) for kind, pictures in drawn.items()
        }
        for row, place in enumerate(places)
    }


def _webp(picture: UInt8[np.ndarray, "side side 3"]) -> bytes:
    image = Image.fromarray(picture)
    image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="WEBP", quality=_QUALITY)
    return file.getvalue()
