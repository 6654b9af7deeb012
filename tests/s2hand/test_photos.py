"""Pictures of every mode that people have, told apart from what is no picture."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand.errors import DataError
from s2hand.photos import read_photo

RGB = np.zeros((4, 6, 3), np.uint8)
RGB[:, 3:] = (200, 100, 50)
GREY = np.zeros((4, 6), np.uint8)
GREY[1] = 180


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


def test_colours_come_back_from_every_mode(tmp_path: Path) -> None:
    plain = Image.fromarray(RGB)
    folder = tmp_path / "mit Umlaut ü"
    folder.mkdir()
    for image, name in (
        (plain, "rgb.png"),
        (plain.convert("P", palette=Image.Palette.ADAPTIVE), "palette.png"),
        (plain.convert("CMYK"), "cmyk.tif"),
        (plain.convert("RGBA"), "opaque.png"),
    ):
        photo = read_photo(saved(image, folder / name))
        np.testing.assert_allclose(photo.pixels.astype(int), RGB, atol=1, err_msg=name)
        assert photo.focal_px is None


def test_grey_becomes_grey_of_the_same_brightness(tmp_path: Path) -> None:
    plain = Image.fromarray(GREY)
    sixteen = Image.fromarray(GREY.astype(np.uint16) * 257)
    expected = np.repeat(GREY[..., None], 3, axis=2)
    for image, name in ((plain, "8.png"), (sixteen, "16.png"), (plain.convert("LA"), "la.png")):
        np.testing.assert_array_equal(
            read_photo(saved(image, tmp_path / name)).pixels, expected, name
        )
    two = read_photo(saved(plain.convert("1", dither=Image.Dither.NONE), tmp_path / "1.png"))
    assert set(np.unique(two.pixels)) == {0, 255}


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    pixels = np.dstack((RGB, np.full((4, 6), 255, np.uint8)))
    pixels[0, :, 3] = 0
    found = read_photo(saved(Image.fromarray(pixels, "RGBA"), tmp_path / "a.png")).pixels
    assert not found[0].any()
    np.testing.assert_array_equal(found[1:], RGB[1:])


@pytest.mark.parametrize(("orientation", "quarters"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_a_turned_picture_is_turned_back_and_keeps_its_focal_length(
    tmp_path: Path, orientation: int, quarters: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0xA405] = 26
    stored = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    photo = read_photo(saved(Image.fromarray(stored), tmp_path / "turned.png", exif=exif))
    np.testing.assert_array_equal(photo.pixels, np.rot90(stored, quarters))
    # 26 mm on film, whose diagonal is 43.267 mm; the picture's is √52 px.
    assert photo.focal_px == pytest.approx(26 / 43.2666 * 52**0.5, rel=1e-5)


@pytest.mark.parametrize(("orientation", "quarters"), [(1, 0), (6, -1), (3, 2)])
def test_a_phone_s_heic_is_read_upright(tmp_path: Path, orientation: int, quarters: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    pillow_heif.register_heif_opener()
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[:20, :40] = (250, 30, 20)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0xA405] = 26
    image = Image.fromarray(stored)
    image.info["exif"] = exif.tobytes()  # so that the turn is written as phones do
    photo = read_photo(saved(image, tmp_path / "a.HEIC", format="HEIF", quality=95))
    expected = np.rot90(stored, quarters).astype(int)
    assert photo.pixels.shape == expected.shape
    assert np.abs(photo.pixels - expected).mean() < 2
    assert photo.focal_px == pytest.approx(26 / 43.2666 * (64**2 + 96**2) ** 0.5, rel=1e-5)


def test_without_pillow_heif_it_is_said_what_to_do_with_heic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"pip install 's2hand\[heic\]', or save .* as JPEG"):
        read_photo(tmp_path / "a.heic")


def test_an_unknown_focal_length_is_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 0
    assert read_photo(saved(Image.fromarray(RGB), tmp_path / "a.jpg", exif=exif)).focal_px is None


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    whole = saved(Image.fromarray(np.zeros((64, 64, 3), np.uint8)), tmp_path / "whole.png")
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:-40])
    page = tmp_path / "page.jpg"
    page.write_text("<html>")
    real = saved(Image.fromarray(np.ones((4, 4), np.float32)), tmp_path / "real.tif")
    for path, told in (
        (cut, "must be a complete picture"),
        (page, "there is a web page"),
        (tmp_path / "none.png", "there is nothing"),
        (real, "got Pillow's mode F"),
    ):
        with pytest.raises(DataError, match=told) as caught:
            read_photo(path)
        assert str(path) in str(caught.value)
