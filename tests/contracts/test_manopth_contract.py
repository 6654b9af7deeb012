"""The exported hand in manopth, where it is installed (it is not on the package registry)."""

from pathlib import Path

import pytest
import torch

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.export import export_hand_model
from s2hand.hand.fingertips import MANOPTH_FINGERTIPS
from s2hand.hand.layer import HandLayer

manolayer = pytest.importorskip(
    "manopth.manolayer",
    reason="manopth, with chumpy, is not installed (github.com/hassony2/manopth)",
    exc_type=ImportError,
)


@pytest.mark.parametrize("flat", [True, False])
def test_exported_hand_agrees_in_manopth(tmp_path: Path, *, flat: bool) -> None:
    export_hand_model(embedded_hand(), tmp_path / "MANO_RIGHT.pkl")
    peer = manolayer.ManoLayer(
        mano_root=str(tmp_path), use_pca=True, ncomps=30, flat_hand_mean=flat, side="right",
        center_idx=None,
    )  # fmt: skip
    layer = HandLayer(embedded_hand(), use_mean_pose=not flat, fingertips=MANOPTH_FINGERTIPS)
    generator = torch.Generator().manual_seed(0)
    betas, orient, posture = (torch.randn(16, n, generator=generator) for n in (10, 3, 30))
    vertices_mm, joints_mm = peer(torch.cat((orient, posture), dim=1), th_betas=betas)[:2]
    ours = layer(betas=betas, global_orient=orient, hand_pose_pca=posture)
    torch.testing.assert_close(ours.vertices, vertices_mm / 1000, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints, joints_mm / 1000, atol=1e-5, rtol=0)
