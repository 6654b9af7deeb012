import numpy as np
import pytest
from PIL import Image

from s2hand.errors import DataError
from s2hand.keypoints.pictures import list_pictures, named_pictures, picture_sizes, read_picture

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def test_pictures_of_a_folder_are_found_by_their_endings(tmp_path):
    pictures = ["a.jpg", "b ü.PNG", "e.jpeg", "f.webp", "g.bmp"]
    for name in (*pictures, "c.txt", "d.json"):
        (tmp_path / name).touch()
    assert [path.name for path in list_pictures(tmp_path)] == pictures
    assert list_pictures(tmp_path / "c.txt") == [tmp_path / "c.txt"]


def test_pictures_of_several_places_are_named_from_the_folder_they_share(tmp_path):
    for name in ("set/b/1.png", "set/a/x/2.JPG", "set/a/notes.txt", "set/.parts/3.png", "4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    # A link to a folder is followed, once; one that leads back up is not.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/5.png").write_bytes(b"")
    for name in ("set/c", "set/d"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "way").symlink_to(tmp_path / "set")
    (tmp_path / "set/a/again").symlink_to(tmp_path / "set")
    for place in ("set", "way"):
        found = named_pictures([tmp_path / place])
        assert list(found) == ["a/x/2.JPG", "b/1.png", "c/5.png"]
    assert list(named_pictures([tmp_path / "set/b"])) == ["1.png"]
    assert list(named_pictures([tmp_path / "set/b/1.png"])) == ["1.png"]
    (tmp_path / "set/a/again").unlink()
    several = named_pictures([tmp_path / "set/b", tmp_path / "set/a", tmp_path / "4.png"])
    assert list(several) == ["set/b/1.png", "set/a/x/2.JPG", "4.png"]
    assert several["set/a/x/2.JPG"] == tmp_path / "set/a/x/2.JPG"
    # A folder with pictures of its own is that alone: what lies below may be masks, or videos.
    (tmp_path / "set/6.png").write_bytes(b"")
    assert list(named_pictures([tmp_path / "set"])) == ["6.png"]
    (tmp_path / "empty/deeper").mkdir(parents=True)
    with pytest.raises(DataError, match="empty: must be a picture or a folder of pictures"):
        named_pictures([tmp_path / "set", tmp_path / "empty"])


def test_a_place_without_pictures_is_named(tmp_path):
    with pytest.raises(DataError, match=r"must be a picture or a folder .* a folder without any$"):
        list_pictures(tmp_path)
    with pytest.raises(DataError, match=r"must be a picture or a folder .* there is nothing$"):
        list_pictures(tmp_path / "gone")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "LA", "1"])
def test_pictures_of_other_modes_become_rgb(tmp_path, mode):
    image = Image.fromarray(COLOURS).convert(mode)
    image.save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    assert picture.shape == (6, 9, 3)
    np.testing.assert_array_equal(picture, np.array(image.convert("RGB")))


def test_a_turn_that_exif_asks_for_is_not_made(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), COLOURS)
    assert picture_sizes([tmp_path / "a.png"]) == ({"a.png": (9, 6)}, [])


def test_what_cannot_be_shown_to_a_detector_is_named(tmp_path):
    Image.fromarray(np.zeros((6, 9), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep.png: a picture must have 8 bits a channel, got .*I"):
        read_picture(tmp_path / "deep.png")
    Image.fromarray(np.zeros((6, 9), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"float.tif: a picture must have 8 bits a channel, .* F"):
        read_picture(tmp_path / "float.tif")
    Image.fromarray(COLOURS).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:100])
    (tmp_path / "text.png").write_text("<html>")
    Image.fromarray(COLOURS).save(tmp_path / "chunks.png")
    whole = (tmp_path / "chunks.png").read_bytes()
    length = whole.index(b"IDAT") - 4
    wrong = (60).to_bytes(4)
    (tmp_path / "chunks.png").write_bytes(whole[:length] + wrong + whole[length + 4 :])
    for name in ("cut.png", "text.png", "gone.png", "chunks.png"):
        with pytest.raises(DataError, match=rf"{name}: must be a picture, could not be read: "):
            read_picture(tmp_path / name)
    with pytest.raises(DataError, match=r"text.png: must be a picture, .* there is a web page"):
        picture_sizes([tmp_path / "text.png"])
    Image.fromarray(COLOURS).save(tmp_path / "good.png")
    sizes, (fault,) = picture_sizes([tmp_path / "text.png", tmp_path / "good.png"])
    assert sizes == {"good.png": (9, 6)}
    assert "text.png: must be a picture, could not be read" in fault


def test_a_picture_beyond_pillow_s_limit_is_named(tmp_path, monkeypatch):
    Image.fromarray(COLOURS).save(tmp_path / "vast.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for read in (read_picture, lambda path: picture_sizes([path])):
        with pytest.raises(DataError, match=r"vast.png: must be a picture, .* exceeds limit"):
            read(tmp_path / "vast.png")
