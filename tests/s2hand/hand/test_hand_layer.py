"""The hand layer against smplx, against a slow loop over vertices, and its gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from smplx import MANO

from s2hand.errors import HandModelError
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.export import export_hand_model
from s2hand.hand.fingertips import S2HAND_FINGERTIPS, SMPLX_FINGERTIPS
from s2hand.hand.joints import PARENTS, joint_permutation
from s2hand.hand.layer import HandLayer, HandOutput
from s2hand.hand.model_data import HandModelData

TO_OPENPOSE = joint_permutation("mano_tips", "openpose")


def _parameters(
    batch: int, *, posture: int = 30, seed: int = 0, dtype: torch.dtype = torch.float64
) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = {"betas": 10, "global_orient": 3, "hand_pose_pca": posture, "transl": 3}
    return {
        name: torch.randn(batch, size, generator=generator, dtype=dtype)
        for name, size in sizes.items()
    }


def _posed_slowly(
    data: HandModelData,
    betas: np.ndarray,
    hand_pose: np.ndarray,
    orient: np.ndarray,
    *,
    flipped: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """One hand in NumPy, vertex by vertex, as the paper writes it."""
    shaped = data.v_template + data.shapedirs @ betas
    rest = data.J_regressor @ shaped
    local = Rotation.from_rotvec(np.vstack([orient, hand_pose])).as_matrix()
    outer = np.eye(3)
    if flipped:
        outer, local[0] = local[0].copy(), np.diag([1.0, -1.0, -1.0])
    posed = shaped + data.posedirs @ (local[1:] - np.eye(3)).ravel()
    transforms = []
    for joint, parent in enumerate(PARENTS):
        transform = np.eye(4)
        transform[:3, :3] = local[joint]
        transform[:3, 3] = rest[joint] - (rest[parent] if joint else 0)
        transforms.append(transforms[parent] @ transform if joint else transform)
    vertices = np.zeros((778, 3))
    for vertex in range(778):
        for joint in range(16):
            moved = transforms[joint][:3, :3] @ (posed[vertex] - rest[joint])
            vertices[vertex] += data.weights[vertex, joint] * (moved + transforms[joint][:3, 3])
    joints = np.array([transform[:3, 3] for transform in transforms])
    joints = np.vstack([joints, vertices[list(S2HAND_FINGERTIPS)]])[TO_OPENPOSE]
    return vertices @ outer.T, joints @ outer.T


@pytest.fixture(scope="module", params=["embedded", "random"])
def hand(request: pytest.FixtureRequest, random_hand: HandModelData) -> HandModelData:
    return embedded_hand() if request.param == "embedded" else random_hand


@pytest.mark.parametrize("flipped", [False, True], ids=["wrist", "origin_flipped"])
def test_layer_agrees_with_the_definition(random_hand: HandModelData, flipped: bool) -> None:
    layer = HandLayer(
        random_hand,
        use_mean_pose=False,
        rotation_centre="origin_flipped" if flipped else "wrist",
        dtype=torch.float64,
    )
    parameters = _parameters(1)
    hand_pose = 0.6 * torch.randn(1, 15, 3, generator=torch.Generator().manual_seed(5)).double()
    betas, orient, transl = (parameters[name] for name in ("betas", "global_orient", "transl"))
    scale = torch.tensor(
        [[-0.8]], dtype=torch.float64
    )  # the released code takes its absolute value
    output = layer(
        betas=betas, global_orient=orient, hand_pose=hand_pose, transl=transl, scale=scale
    )
    vertices, joints = _posed_slowly(
        random_hand, betas[0].numpy(), hand_pose[0].numpy(), orient.numpy(), flipped=flipped
    )
    np.testing.assert_allclose(output.vertices[0], 0.8 * vertices + transl.numpy(), atol=1e-12)
    np.testing.assert_allclose(output.joints[0], 0.8 * joints + transl.numpy(), atol=1e-12)
    torch.testing.assert_close(output.hand_pose, hand_pose)


@pytest.mark.filterwarnings("ignore:Please import.*scipy.sparse:DeprecationWarning")
@pytest.mark.parametrize("use_mean_pose", [True, False], ids=["mean", "flat"])
@pytest.mark.parametrize("use_pca", [True, False], ids=["pca", "axis-angle"])
def test_exported_file_agrees_in_smplx(
    hand: HandModelData, tmp_path: Path, use_pca: bool, use_mean_pose: bool
) -> None:
    path = tmp_path / "MANO_RIGHT.pkl"
    export_hand_model(hand, path)
    peer = MANO(
        str(path), is_rhand=True, use_pca=use_pca, num_pca_comps=30,
        flat_hand_mean=not use_mean_pose,
    )  # fmt: skip
    layer = HandLayer(hand, use_mean_pose=use_mean_pose, fingertips=SMPLX_FINGERTIPS)
    parameters = _parameters(32, posture=30 if use_pca else 45, dtype=torch.float32)
    posture = parameters.pop("hand_pose_pca")
    theirs = peer(hand_pose=posture, return_full_pose=True, **parameters)
    if use_pca:
        ours = layer(hand_pose_pca=posture, **parameters)
    else:
        ours = layer(hand_pose=posture.view(32, 15, 3), **parameters)
    tips = theirs.vertices[:, list(SMPLX_FINGERTIPS)]
    joints = torch.cat((theirs.joints, tips), dim=1)[:, TO_OPENPOSE]
    torch.testing.assert_close(ours.vertices, theirs.vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints, joints, atol=1e-5, rtol=0)
    full_pose = theirs.full_pose.view(32, 16, 3)
    torch.testing.assert_close(ours.hand_pose, full_pose[:, 1:], atol=1e-5, rtol=0)
    assert torch.equal(layer.faces, torch.tensor(peer.faces.astype(np.int64)))


def _forward(layer: HandLayer, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    names = ("betas", "global_orient", "hand_pose_pca", "transl", "scale")
    output: HandOutput = layer(**dict(zip(names, values, strict=True)))
    return output.vertices[:, ::40], output.joints, output.hand_pose


@pytest.mark.parametrize("rotation_centre", ["wrist", "origin_flipped"])
@pytest.mark.parametrize("at_zero", [False, True], ids=["random", "zero"])
def test_gradients_are_those_of_finite_differences(
    random_hand: HandModelData, rotation_centre: str, at_zero: bool
) -> None:
    layer = HandLayer(
        random_hand, num_pose_components=4, use_mean_pose=not at_zero,
        rotation_centre=rotation_centre, dtype=torch.float64,
    )  # fmt: skip
    values = list(_parameters(1, posture=4).values())
    values = [torch.zeros_like(value) if at_zero else value for value in values]
    values.append(torch.tensor([[0.9]], dtype=torch.float64))
    for value in values:
        value.requires_grad_()
    assert torch.autograd.gradcheck(lambda *v: _forward(layer, *v), values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_at_zero_rotation_are_finite(
    random_hand: HandModelData, dtype: torch.dtype
) -> None:
    layer = HandLayer(random_hand, use_mean_pose=False, dtype=dtype)
    values = {
        name: torch.zeros_like(value).requires_grad_()
        for name, value in _parameters(2, dtype=dtype).items()
    }
    output = layer(**values)
    assert output.vertices.dtype == output.joints.dtype == dtype
    (output.vertices.square().sum() + output.joints.sum()).backward()
    for value in values.values():
        assert value.grad is not None
        assert value.grad.isfinite().all()
    assert values["hand_pose_pca"].grad.abs().min() > 0


def test_what_is_not_given_is_neutral_or_the_default(random_hand: HandModelData) -> None:
    parameters = _parameters(3, dtype=torch.float32)
    del parameters["transl"]
    explicit = HandLayer(
        random_hand, num_pose_components=30, use_mean_pose=True, fingertips=S2HAND_FINGERTIPS,
        rotation_centre="wrist", dtype=torch.float32,
    )(**parameters, transl=torch.zeros(3, 3), scale=torch.ones(3, 1))  # fmt: skip
    short = HandLayer(random_hand)(**parameters)
    for name in ("vertices", "joints", "hand_pose"):
        assert torch.equal(getattr(short, name), getattr(explicit, name)), name


def test_rest_vertices_are_the_vertices_of_zero_parameters(random_hand: HandModelData) -> None:
    layer = HandLayer(random_hand, use_mean_pose=False)
    zero = {name: torch.zeros_like(v) for name, v in _parameters(1, dtype=torch.float32).items()}
    torch.testing.assert_close(layer(**zero).vertices[0], layer.rest_vertices)


def test_float32_is_close_to_float64(random_hand: HandModelData) -> None:
    parameters = _parameters(16)
    exact = HandLayer(random_hand, dtype=torch.float64)(**parameters)
    single = HandLayer(random_hand)(**{name: v.float() for name, v in parameters.items()})
    torch.testing.assert_close(single.vertices, exact.vertices.float(), atol=3e-6, rtol=0)


def test_batches_have_any_shape(random_hand: HandModelData) -> None:
    layer = HandLayer(random_hand)
    flat = layer(**_parameters(6, dtype=torch.float32))
    nested = layer(
        **{name: v.view(2, 3, -1) for name, v in _parameters(6, dtype=torch.float32).items()}
    )
    one = layer(**{name: v[4] for name, v in _parameters(6, dtype=torch.float32).items()})
    none = layer(**_parameters(0, dtype=torch.float32))
    assert nested.vertices.shape == (2, 3, 778, 3)
    assert none.joints.shape == (0, 21, 3)
    torch.testing.assert_close(nested.joints.view(6, 21, 3), flat.joints)
    torch.testing.assert_close(one.vertices, flat.vertices[4])


def test_rest_joints_are_the_joints_of_zero_parameters(random_hand: HandModelData) -> None:
    layer = HandLayer(random_hand, use_mean_pose=False)
    zero = {name: torch.zeros_like(v) for name, v in _parameters(1, dtype=torch.float32).items()}
    torch.testing.assert_close(layer(**zero).joints[0], layer.rest_joints)


def test_convention_origin_flipped_turns_about_the_models_origin(
    random_hand: HandModelData,
) -> None:
    """At zero orientation it is Rx(pi) about the wrist; a rotation then moves the wrist too."""
    zero = {name: torch.zeros_like(v) for name, v in _parameters(1, dtype=torch.float32).items()}
    wrist = HandLayer(random_hand)(**zero)
    flipped = HandLayer(random_hand, rotation_centre="origin_flipped")(**zero)
    centre = wrist.joints[0, 0]
    expected = (wrist.vertices[0] - centre) * torch.tensor([1.0, -1, -1]) + centre
    torch.testing.assert_close(flipped.vertices[0], expected)
    turn = zero | {"global_orient": torch.tensor([[0.0, 0.0, np.pi]])}
    turned = HandLayer(random_hand, rotation_centre="origin_flipped")(**turn)
    expected = flipped.vertices[0] * torch.tensor([-1.0, -1, 1])
    torch.testing.assert_close(turned.vertices[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("rotation_centre", ["wrist", "origin_flipped"])
@pytest.mark.parametrize("sign", [1, -1])
def test_parameters_of_the_turned_hand_pose_the_turned_hand(
    random_hand: HandModelData, rotation_centre: str, sign: int
) -> None:
    layer = HandLayer(random_hand, rotation_centre=rotation_centre, dtype=torch.float64)
    given = _parameters(6) | {
        "scale": sign * torch.linspace(0.5, 2, 6, dtype=torch.float64)[:, None]
    }
    turns = torch.from_numpy(Rotation.random(6, random_state=0).as_matrix())
    place = {name: given[name] for name in ("betas", "global_orient", "transl", "scale")}
    orient, transl = layer.turned(turns, **place)
    before = layer(**given)
    after = layer(**given | {"global_orient": orient, "transl": transl})
    for name in ("vertices", "joints"):
        expected = getattr(before, name) @ turns.mT
        torch.testing.assert_close(getattr(after, name), expected, atol=1e-12, rtol=0)
    assert torch.autograd.gradcheck(
        lambda *values: layer.turned(turns, **dict(zip(place, values, strict=True))),
        [value.clone().requires_grad_() for value in place.values()],
    )


def test_posture_is_given_exactly_once(random_hand: HandModelData) -> None:
    layer = HandLayer(random_hand)
    parameters = _parameters(1, dtype=torch.float32)
    with pytest.raises(ValueError, match="exactly one of hand_pose_pca and hand_pose"):
        layer(**parameters, hand_pose=torch.zeros(1, 15, 3))
    del parameters["hand_pose_pca"]
    with pytest.raises(ValueError, match="exactly one of hand_pose_pca and hand_pose"):
        layer(**parameters)


def test_another_kinematic_tree_is_refused(random_hand: HandModelData) -> None:
    fields = {name: getattr(random_hand, name) for name in HandModelData.__slots__}
    fields["kintree_table"] = fields["kintree_table"].copy()
    fields["kintree_table"][0, 5] = 0
    with pytest.raises(HandModelError, match="random: kintree_table must be MANO's tree"):
        HandLayer(HandModelData(**fields))


def test_the_layer_keeps_the_model_out_of_checkpoints(random_hand: HandModelData) -> None:
    """MANO's licence forbids passing its arrays on, and a checkpoint is passed on."""
    assert HandLayer(random_hand).state_dict() == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_layer_runs_on_cuda(random_hand: HandModelData) -> None:
    parameters = _parameters(4)
    expected = HandLayer(random_hand, dtype=torch.float64)(**parameters)
    layer = HandLayer(random_hand, dtype=torch.float64).to("cuda")
    output = layer(**{name: value.cuda() for name, value in parameters.items()})
    torch.testing.assert_close(output.vertices.cpu(), expected.vertices)
