"""What the pictures of one namespace are made of: people, backgrounds, things, the posed hand."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.layer import HandLayer
from s2hand.hand.model_data import HandModelData
from s2hand.synthetic.backgrounds import make_background
from s2hand.synthetic.body import BodyMesh, Person, body_mesh, make_person
from s2hand.synthetic.made_when_used import MadeWhenUsed
from s2hand.synthetic.namespaces import ROLES, Namespace, Role, posture_examples
from s2hand.synthetic.objects import ObjectModel, make_object
from s2hand.synthetic.seeds import named_generator
from s2hand.synthetic.sizes import NamespaceSize

_MIN_BACKGROUND_PX, _MAX_BACKGROUND_PX = 192, 576


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stage:
    """Everything that the pictures of one namespace share."""

    namespace: Namespace
    seed: int
    hand: HandModelData
    postures: Int[np.ndarray, "examples"]
    """Which of the hand model's example postures are the namespace's own."""
    layer: HandLayer
    mesh: BodyMesh
    people: MadeWhenUsed[Person]
    backgrounds: MadeWhenUsed[UInt8[np.ndarray, "side side 3"]]
    things: tuple[ObjectModel, ...]
    thing_texels: UInt8[np.ndarray, "things faces texels 5"]

    @property
    def role(self) -> Role:
        """How the namespace is written."""
        return ROLES[self.namespace]

    def generator(self, kind: str, index: int) -> np.random.Generator:
        """Give the random generator of one named thing of this namespace."""
        return named_generator(self.seed, self.namespace, kind, index)

    def pose(
        self,
        betas: Float[np.ndarray, "batch 10"],
        rotations: Float[np.ndarray, "batch 16 3"],
    ) -> tuple[Float[np.ndarray, "batch 778 3"], Float[np.ndarray, "batch 21 3"]]:
        """Pose hands without translation; ``rotations`` are full axis-angle, global first."""
        with torch.inference_mode():
            output = self.layer(
                betas=torch.from_numpy(betas),
                global_orient=torch.from_numpy(np.ascontiguousarray(rotations[:, 0])),
                hand_pose=torch.from_numpy(np.ascontiguousarray(rotations[:, 1:])),
            )
        return output.vertices.numpy(), output.joints.numpy()


def build_stage(namespace: Namespace, size: NamespaceSize, seed: int, image_size_px: int) -> Stage:
    """Prepare what the pictures of a namespace are made of.

    People and backgrounds, a tenth to a fifth of a second each, are made by the first picture that
    shows them, so that pictures come at once and in parallel.
    """
    hand, mesh = embedded_hand(), body_mesh()
    background_px = int(np.clip(4 * image_size_px, _MIN_BACKGROUND_PX, _MAX_BACKGROUND_PX))
    draw = partial(named_generator, seed, namespace)
    things = tuple(
        make_object(f"{namespace}_{index:03d}", draw("thing", index))
        for index in range(size.objects)
    )
    return Stage(
        namespace=namespace,
        seed=seed,
        hand=hand,
        postures=posture_examples(hand, namespace),
        layer=HandLayer(hand, use_mean_pose=False, dtype=torch.float64),
        mesh=mesh,
        people=MadeWhenUsed(size.subjects, lambda index: make_person(mesh, draw("person", index))),
        backgrounds=MadeWhenUsed(
            size.backgrounds,
            lambda index: make_background(background_px, draw("background", index)),
        ),
        things=things,
        thing_texels=_stack([thing.texels for thing in things]),
    )


def thing_faces(
    things: Iterable[ObjectModel], first_vertex: int
) -> tuple[Int[np.ndarray, "faces 3"], Int[np.ndarray, "faces"]]:
    """Join the faces of several things behind the hand's; give each face's own number too."""
    faces, numbers = [np.empty((0, 3), np.int64)], [np.empty(0, np.int64)]
    for thing in things:
        faces.append(thing.faces + first_vertex)
        numbers.append(np.arange(len(thing.faces)))
        first_vertex += len(thing.vertices)
    return np.concatenate(faces), np.concatenate(numbers)


def _stack(texels: list[np.ndarray]) -> np.ndarray:
    """Pad models of different numbers of faces into one array."""
    most = max(len(faces) for faces in texels)
    stacked = np.zeros((len(texels), most, *texels[0].shape[1:]), np.uint8)
    for model, faces in enumerate(texels):
        stacked[model, : len(faces)] = faces
    return stacked
