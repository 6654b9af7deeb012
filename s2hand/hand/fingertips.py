"""The mesh vertices that stand for fingertips, which MANO has no joints for."""

Fingertips = tuple[int, int, int, int, int]
"""Vertices, thumb to little finger."""

S2HAND_FINGERTIPS: Fingertips = (744, 320, 443, 555, 672)
"""The released code's, which are FreiHAND's: ours by default."""
SMPLX_FINGERTIPS: Fingertips = (744, 320, 443, 554, 671)
"""smplx's ``vertex_ids.py``."""
MANOPTH_FINGERTIPS: Fingertips = (745, 317, 444, 556, 673)
"""manopth's, for the right hand."""
HO3D_FINGERTIPS: Fingertips = (744, 333, 444, 555, 672)
"""HO-3D's ground truth (its ``setup_mano.py``)."""

FINGERTIP_SETS: dict[str, Fingertips] = {
    "s2hand": S2HAND_FINGERTIPS,
    "smplx": SMPLX_FINGERTIPS,
    "manopth": MANOPTH_FINGERTIPS,
    "ho3d": HO3D_FINGERTIPS,
}
"""Every set by the name that evaluator ids give it."""
