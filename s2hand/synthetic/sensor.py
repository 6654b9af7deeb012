"""From linear light to the bytes of a picture: background, shadow on it, lens, noise, tone."""

from typing import no_type_check

import numpy as np

from s2hand.compiled import compiled

SENSOR_FIELDS = 8
"""Exposure, lens blur (0 to 1), shot noise, read noise, vignetting, contrast, shadow strength on
the background, saturation."""
VIEW_FIELDS = 6
"""Pixel (u, v) shows the background at (a·u + b·v + c, d·u + e·v + f), in its pixels, mirrored."""
_SHADOW_CELL_PX = 8


@compiled(nogil=True, error_model="numpy")
@no_type_check
def develop(
    colour: np.ndarray,
    window: np.ndarray,
    background: np.ndarray,
    view: np.ndarray,
    background_light: np.ndarray,
    shadow_shift: np.ndarray,
    sensor: np.ndarray,
    noise_seed: int,
    picture: np.ndarray,
) -> None:
    """Write one picture, rows × columns × 3 bytes of sRGB.

    Args:
        colour: Premultiplied linear RGB and coverage of the painted rectangle.
        window: left, top of that rectangle in the picture.
        background: sRGB bytes, square.
        view: Where the picture lies in the background (``VIEW_FIELDS``).
        background_light: Linear RGB that multiplies the background.
        shadow_shift: Where the shadow on the background falls (x, y), in cells of 8 pixels.
        sensor: ``SENSOR_FIELDS``.
        noise_seed: Determines the noise of every pixel.
        picture: Receives the result.
    """
    height, width = picture.shape[:2]
    linear = np.empty((height, width, 3), np.float32)
    shadow = _shadow_cells(colour, window, height, width)
    _composite(
        colour, window, background, view, background_light, shadow, shadow_shift, sensor, linear
    )
    _expose(linear, sensor, noise_seed, picture)


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _shadow_cells(colour: np.ndarray, window: np.ndarray, height: int, width: int) -> np.ndarray:
    """Give the coverage per cell, blurred: a soft shadow."""
    rows, columns = height // _SHADOW_CELL_PX + 1, width // _SHADOW_CELL_PX + 1
    cells = np.zeros((rows, columns))
    for row in range(colour.shape[0]):
        for column in range(colour.shape[1]):
            cells[
                (row + window[1]) // _SHADOW_CELL_PX, (column + window[0]) // _SHADOW_CELL_PX
            ] += colour[row, column, 3] / _SHADOW_CELL_PX**2
    for _ in range(2):
        blurred = np.zeros_like(cells)
        for row in range(rows):
            for column in range(columns):
                total, count = 0.0, 0
                for j in range(max(row - 1, 0), min(row + 2, rows)):
                    for i in range(max(column - 1, 0), min(column + 2, columns)):
                        total += cells[j, i]
                        count += 1
                blurred[row, column] = total / count
        cells = blurred
    return cells


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _bilinear(field: np.ndarray, x: float, y: float) -> float:
    rows, columns = field.shape
    x, y = min(max(x, 0.0), columns - 1.001), min(max(y, 0.0), rows - 1.001)
    i, j = int(x), int(y)
    fx, fy = x - i, y - j
    upper = field[j, i] * (1 - fx) + field[j, min(i + 1, columns - 1)] * fx
    below = min(j + 1, rows - 1)
    lower = field[below, i] * (1 - fx) + field[below, min(i + 1, columns - 1)] * fx
    return upper * (1 - fy) + lower * fy


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _mirror(x: float, size: int) -> float:
    """Fold a coordinate into 0..size − 1, so that the background repeats without seams."""
    period = 2.0 * (size - 1)
    x = abs(x) % period
    return period - x if x > size - 1 else x


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _composite(
    colour: np.ndarray,
    window: np.ndarray,
    background: np.ndarray,
    view: np.ndarray,
    background_light: np.ndarray,
    shadow: np.ndarray,
    shadow_shift: np.ndarray,
    sensor: np.ndarray,
    linear: np.ndarray,
) -> None:
    height, width = linear.shape[:2]
    size = background.shape[0]
    table = np.empty(256, np.float32)
    for value in range(256):
        table[value] = (value / 255.0) ** 2.2
    for row in range(height):
        for column in range(width):
            x = _mirror(view[0] * column + view[1] * row + view[2], size)
            y = _mirror(view[3] * column + view[4] * row + view[5], size)
            i, j = min(int(x), size - 2), min(int(y), size - 2)
            fx, fy = x - i, y - j
            shade = 1.0
            if sensor[6] > 0:
                shade -= sensor[6] * min(
                    _bilinear(
                        shadow,
                        (column + 0.5) / _SHADOW_CELL_PX - 0.5 - shadow_shift[0],
                        (row + 0.5) / _SHADOW_CELL_PX - 0.5 - shadow_shift[1],
                    ),
                    1.0,
                )
            in_row, in_column = row - window[1], column - window[0]
            covered = (0 <= in_row < colour.shape[0]) and (0 <= in_column < colour.shape[1])
            through = 1.0 - colour[in_row, in_column, 3] if covered else 1.0
            for c in range(3):
                light = 0.0
                if through > 0:
                    upper = (
                        table[background[j, i, c]] * (1 - fx) + table[background[j, i + 1, c]] * fx
                    )
                    lower = (
                        table[background[j + 1, i, c]] * (1 - fx)
                        + table[background[j + 1, i + 1, c]] * fx
                    )
                    light = (upper * (1 - fy) + lower * fy) * shade * background_light[c] * through
                if covered:
                    light += colour[in_row, in_column, c]
                linear[row, column, c] = light


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _expose(linear: np.ndarray, sensor: np.ndarray, noise_seed: int, picture: np.ndarray) -> None:
    height, width = linear.shape[:2]
    exposure, lens, shot, read = sensor[0], sensor[1], sensor[2], sensor[3]
    table = _tone_table(sensor[5])
    state = np.uint64(noise_seed)
    step = np.uint64(0x9E3779B97F4A7C15)
    value = np.empty(3)
    for row in range(height):
        above, below = max(row - 1, 0), min(row + 1, height - 1)
        for column in range(width):
            left, right = max(column - 1, 0), min(column + 1, width - 1)
            x, y = 2.0 * column / width - 1, 2.0 * row / height - 1
            gain = exposure * (1 - sensor[4] * (x * x + y * y))
            for c in range(3):
                light = linear[row, column, c]
                if lens > 0:
                    sides = (
                        linear[row, left, c]
                        + linear[row, right, c]
                        + linear[above, column, c]
                        + linear[below, column, c]
                    )
                    light = (light + 0.25 * lens * sides) / (1 + lens)
                state += step
                light *= gain
                value[c] = light + _gaussian(state) * np.sqrt(shot * light + read)
            grey = 0.3 * value[0] + 0.59 * value[1] + 0.11 * value[2]
            for c in range(3):
                toned = grey + sensor[7] * (value[c] - grey)
                picture[row, column, c] = table[int(min(max(toned, 0.0), 1.999) * 1024)]


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _tone_table(contrast: float) -> np.ndarray:
    """Tone curve for linear light 0..2: gamma, an S for contrast, a soft shoulder at white."""
    table = np.empty(2048, np.uint8)
    for k in range(2048):
        light = (k + 0.5) / 1024
        shown = (
            light**0.4545 if light < 0.7 else 0.8503 + 0.1497 * (1 - np.exp((0.7 - light) * 3.6))
        )
        s_curve = shown * shown * (3 - 2 * shown)
        table[k] = int(min(max(shown + contrast * (s_curve - shown), 0.0), 1.0) * 255 + 0.5)
    return table


@compiled(nogil=True, error_model="numpy", inline="always")
@no_type_check
def _gaussian(state: np.uint64) -> float:
    """Hash a counter to about a standard normal number: the sum of four uniform ones."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    low = np.uint64(0xFFFF)
    total = float(z & low) + float((z >> np.uint64(16)) & low)
    total += float((z >> np.uint64(32)) & low) + float(z >> np.uint64(48))
    return (total / 65535.0 - 2.0) * 1.7320508
