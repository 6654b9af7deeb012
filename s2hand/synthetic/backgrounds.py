"""Cluttered backgrounds: surfaces, shapes with shadows, print and out-of-focus blur."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter

from s2hand.synthetic.noise import picture_noise


def make_background(
    size_px: int, generator: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Paint one square background in sRGB."""
    canvas = _surface(size_px, generator)
    if generator.random() < 0.6:  # two planes: a wall above a table
        second = _surface(size_px, generator)
        rows, columns = np.mgrid[:size_px, :size_px] / size_px
        slope = generator.normal(0, 0.15)
        border = generator.uniform(0.2, 0.6) + slope * (columns - 0.5)
        blend = np.clip((rows - border) * size_px / 3, 0, 1)[..., None]
        canvas = canvas * (1 - blend) + second * blend
    image = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    for _ in range(generator.integers(4, 22)):
        _draw_thing(image, generator)
    blur = generator.exponential(size_px / 160) if generator.random() < 0.75 else 0.0
    image = image.filter(ImageFilter.GaussianBlur(0.6 + min(blur, size_px / 30)))
    shade = 1 + 0.25 * picture_noise(size_px, (2, 4), generator)
    lit = np.asarray(image, np.float32) * shade[..., None]
    return np.clip(lit, 0, 255).astype(np.uint8)


def _colour(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Draw a colour: mostly muted, some vivid, some like skin or wood to confuse a segmenter."""
    kind = generator.random()
    if kind < 0.25:
        wood = np.array([0.72, 0.5, 0.36]) * generator.uniform(0.4, 1.25)
        return np.clip(wood + generator.normal(0, 0.04, 3), 0.02, 0.98)
    grey = generator.uniform(0.06, 0.95)
    vividness = generator.uniform(0.01, 0.06) if kind < 0.85 else generator.uniform(0.1, 0.25)
    return np.clip(grey + generator.normal(0, vividness, 3), 0.02, 0.98)


def _surface(size_px: int, generator: np.random.Generator) -> Float[np.ndarray, "height width 3"]:
    """Paint a plane: plain, wood, cloth, or tiles."""
    kind = generator.choice(["plain", "wood", "cloth", "tiles"])
    first, second = _colour(generator), _colour(generator)
    second = first + (second - first) * generator.uniform(0.1, 0.6)
    if kind == "wood":
        grain = picture_noise(size_px, (16, 48, 96), generator, stretch=generator.uniform(5, 12))
        mix = 0.5 + 0.5 * np.sin(grain * generator.uniform(4, 12))
    elif kind == "cloth":
        cells = int(size_px / generator.uniform(2, 5))
        mix = 0.5 + 0.8 * picture_noise(size_px, (4, 16, cells, 2 * cells), generator)
    elif kind == "tiles":
        rows, columns = np.mgrid[:size_px, :size_px] / size_px * generator.uniform(3, 14)
        angle = generator.uniform(0, np.pi)
        across = columns * np.cos(angle) + rows * np.sin(angle)
        along = rows * np.cos(angle) - columns * np.sin(angle)
        tiles = (np.floor(across) + np.floor(along)) % 2
        mix = tiles * 0.8 + 0.3 * picture_noise(size_px, (6, 24), generator)
    else:
        mix = 0.5 + 0.6 * picture_noise(size_px, (2, 4, 12), generator)
    if generator.random() < 0.5:
        mix = mix.T
    mix = np.clip(mix, 0, 1)[..., None]
    return first * (1 - mix) + second * mix


def _draw_thing(image: Image.Image, generator: np.random.Generator) -> None:
    """Draw one shape with its shadow onto the image."""
    size = image.size[0]
    centre = generator.uniform(0, size, 2)
    extent = size * generator.uniform(0.04, 0.3)
    outline = _outline(centre, extent, generator)
    shadow = Image.new("L", image.size, 0)
    offset = generator.normal(0, extent * 0.15, 2)
    ImageDraw.Draw(shadow).polygon([tuple(p) for p in outline + offset], fill=110)
    small = shadow.resize((size // 4, size // 4)).filter(ImageFilter.GaussianBlur(size / 160))
    image.paste((0, 0, 0), mask=small.resize(image.size))
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).polygon([tuple(p) for p in outline], fill=255)
    image.paste(_fill(size, extent, centre, generator), mask=mask)


def _outline(
    centre: np.ndarray, extent: float, generator: np.random.Generator
) -> Float[np.ndarray, "corners 2"]:
    """Outline a rotated rectangle, an ellipse, a long bar or an irregular polygon."""
    kind = generator.choice(["rectangle", "ellipse", "bar", "polygon"])
    if kind in {"rectangle", "bar"}:
        aspect = 0.12 if kind == "bar" else generator.uniform(0.4, 1)
        corners = np.array([[-1, -aspect], [1, -aspect], [1, aspect], [-1, aspect]])
        corners = corners * (2.5 if kind == "bar" else 1)
    else:
        count = 28 if kind == "ellipse" else int(generator.integers(3, 8))
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        radius = np.ones(count) if kind == "ellipse" else generator.uniform(0.5, 1, count)
        corners = np.stack([np.cos(angles), np.sin(angles) * generator.uniform(0.4, 1)], 1)
        corners = corners * radius[:, None]
    angle = generator.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return centre + extent * corners @ turn.T


def _fill(
    size: int, extent: float, centre: np.ndarray, generator: np.random.Generator
) -> Image.Image:
    """Paint what fills a shape: a gradient, with stripes or lines of print on some."""
    first, second = _colour(generator), _colour(generator)
    second = first + 0.3 * (second - first)
    steps = np.linspace(0, 1, 8)[:, None, None]
    gradient = np.clip(first * (1 - steps) + second * steps, 0, 1) * np.ones((8, 8, 1))
    fill = Image.fromarray((gradient * 255).astype(np.uint8))
    fill = fill.rotate(float(generator.choice([0, 90, 180, 270]))).resize((size, size))
    pen = ImageDraw.Draw(fill)
    ink = tuple(int(c * 255) for c in _colour(generator))
    decoration = generator.random()
    if decoration < 0.25:
        spacing = max(2.0, extent * generator.uniform(0.1, 0.3))
        for k in range(int(2 * size / spacing)):
            x = k * spacing - size / 2
            pen.line([(x, 0), (x + size / 3, size)], fill=ink, width=max(1, int(spacing / 3)))
    elif decoration < 0.45:
        spacing = max(2.0, extent * 0.13)
        for k in range(-6, 7):
            y = centre[1] + k * spacing
            for x in centre[0] + extent * np.arange(-0.8, 0.8, 0.15):
                if generator.random() < 0.75:
                    end = x + extent * generator.uniform(0.04, 0.13)
                    pen.line([(x, y), (end, y)], fill=ink, width=max(1, int(spacing / 3)))
    return fill
