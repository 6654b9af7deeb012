"""Names that a user may give: layouts of files, and sides of hands."""

from typing import Literal

LayoutName = Literal["hands", "detect", "openpose", "wholebody"]
"""``hands``: the project's own, all of a table. ``detect``: the released code's ``detect.json``,
one hand an image, which training reads. ``openpose``: a folder of ``NAME_keypoints.json``.
``wholebody``: COCO-WholeBody's results."""

Side = Literal["right", "left", "any"]
"""Which hands of an image are meant."""
