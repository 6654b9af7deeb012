"""The compiled painter: sub-frames of one picture, lit per pixel, added up in linear light.

Samples within a pixel and moments within the exposure are taken together: each sub-frame is
rasterised at its own moment with its own offset inside the pixel, so that the average has smooth
edges and motion blur at the price of one of them.
"""

from typing import no_type_check

import numpy as np

from s2hand.compiled import compiled
from s2hand.rendering.rasterise import face_planes, rasterise_image, write_weights
from s2hand.synthetic.micro_texture import (
    HEIGHT_RANGE_M,
    OBJECT_SUBDIVISIONS,
    SKIN_SUBDIVISIONS,
)
from s2hand.synthetic.visibility import (
    SHADOW_MAP_PX,
    ambient_visibility,
    depth_map,
    light_frame,
    lit_share,
    smooth_normals,
)

LIGHT_FIELDS = 7
"""Direction to the light (3), colour (3), softness of its shadow's border in map pixels."""
MATERIAL_FIELDS = 5
"""Tint (3), specular strength, subsurface strength (1 for skin, 0 for things)."""
_WRAP, _BLEED = (0.32, 0.13, 0.08), (0.1, 0.02, 0.01)
_CULL = True  # meshes are closed as seen from any camera
SKIN, SLEEVE, THING = 0, 1, 2
"""Materials of faces."""


@compiled(nogil=True, error_model="numpy")
@no_type_check
def paint(
    start: np.ndarray,
    end: np.ndarray,
    faces: np.ndarray,
    material: np.ndarray,
    hand_texels: np.ndarray,
    thing_texels: np.ndarray,
    thing_ids: np.ndarray,
    materials: np.ndarray,
    intrinsics: np.ndarray,
    lights: np.ndarray,
    ambient: np.ndarray,
    sphere: np.ndarray,
    num_subframes: int,
    window: np.ndarray,
    colour: np.ndarray,
    joint_px: np.ndarray,
    seen_at_joint: np.ndarray,
) -> None:
    """Add up the sub-frames of one picture.

    Args:
        start: Vertices (m, camera frame) when the shutter opens.
        end: The same when it closes.
        faces: Triangles; the skin's and the sleeve's come first.
        material: Material of each face (``SKIN``, ``SLEEVE``, ``THING``).
        hand_texels: Texels of the skin's and the sleeve's faces.
        thing_texels: Texels of the things' models, (models, faces, texels, 5).
        thing_ids: (model, face of the model) of each face after the hand's.
        materials: ``MATERIAL_FIELDS`` per material.
        intrinsics: Camera matrix in pixels.
        lights: ``LIGHT_FIELDS`` per light.
        ambient: Ambient light's colour from above and from below, 2 × 3.
        sphere: Centre (3) and radius of what casts shadows.
        num_subframes: How many moments.
        window: left, top: where the painted rectangle lies in the picture.
        colour: Receives premultiplied linear RGB and coverage, rows × columns × 4.
        joint_px: Points of the picture at which to look, at half time.
        seen_at_joint: Receives (depth, material or −1) there.
    """
    height, width = colour.shape[:2]
    middle = 0.5 * (start + end)
    normals = np.empty_like(middle)
    smooth_normals(middle, faces, normals)
    centre, radius = sphere[:3], sphere[3]
    visibility = np.empty(len(middle))
    ambient_visibility(middle, normals, faces, _directions(), centre, radius, visibility)
    frames = np.empty((len(lights), 3, 3))
    maps = np.empty((len(lights), SHADOW_MAP_PX, SHADOW_MAP_PX), np.float32)
    for light in range(len(lights)):
        frames[light] = light_frame(lights[light, :3])
        depth_map(middle, faces, frames[light], centre, radius, maps[light])
    face_id = np.empty((height, width), np.int32)
    weights = np.empty((height, width, 3), np.float32)
    depth = np.empty((height, width), np.float32)
    points = np.empty_like(middle)
    planes = np.empty((len(faces), 3, 3))
    facing = np.empty(len(faces), np.int8)
    shaded_face = np.full((height, width), -1, np.int32)
    shaded = np.ones((height, width, 4), np.float32)
    colour[:] = 0
    camera = intrinsics.copy()
    for k in range(num_subframes):
        moment = (k + 0.5) / num_subframes
        # Offsets of a low-discrepancy sequence inside the pixel, on another path than the moments.
        camera[0, 2] = intrinsics[0, 2] - window[0] + (k * 0.7548776662 + 0.25) % 1.0 - 0.5
        camera[1, 2] = intrinsics[1, 2] - window[1] + (k * 0.5698402910 + 0.25) % 1.0 - 0.5
        shift = (k // 2 * 0.6180339887 + 0.5) % 1.0 - 0.5
        vertices = (1 - moment) * start + moment * end
        _project(vertices, camera, points)
        face_planes(points, faces, _CULL, planes, facing)
        rasterise_image(points, points[:, 2], faces, planes, facing, 0.05, face_id, depth)
        write_weights(planes, face_id, weights)
        if k == num_subframes // 2:
            _look_at_joints(joint_px, window, face_id, depth, material, seen_at_joint)
        if k % 2 == 0:
            shaded_face[:] = -1
        _add_subframe(
            face_id, weights, middle, faces, normals, visibility, material, hand_texels,
            thing_texels, thing_ids, materials, lights, ambient, frames, maps, sphere, shift,
            shaded_face, shaded, colour,
        )  # fmt: skip
    colour /= num_subframes


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _add_subframe(
    face_id: np.ndarray,
    weights: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    visibility: np.ndarray,
    material: np.ndarray,
    hand_texels: np.ndarray,
    thing_texels: np.ndarray,
    thing_ids: np.ndarray,
    materials: np.ndarray,
    lights: np.ndarray,
    ambient: np.ndarray,
    frames: np.ndarray,
    maps: np.ndarray,
    sphere: np.ndarray,
    shift: float,
    shaded_face: np.ndarray,
    shaded: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Shade what one sub-frame sees and add it up."""
    height, width = face_id.shape
    texel, point, rgb = np.empty(7), np.empty(10), np.empty(9)
    num_hand = len(hand_texels)
    for row in range(height):
        for column in range(width):
            face = face_id[row, column]
            if face < 0:
                continue
            # The light of the sub-frame before is kept where this one sees the same face.
            if face == shaded_face[row, column]:
                for channel in range(4):
                    colour[row, column, channel] += shaded[row, column, channel]
                continue
            corner = weights[row, column]
            if face < num_hand:
                _texel(hand_texels[face], corner[1], corner[2], SKIN_SUBDIVISIONS, texel)
            else:
                model, own = thing_ids[face - num_hand, 0], thing_ids[face - num_hand, 1]
                texels = thing_texels[model, own]
                _texel(texels, corner[1], corner[2], OBJECT_SUBDIVISIONS, texel)
            _locate(face, corner, vertices, faces, normals, visibility, texel, point)
            _shade(
                texel, point, materials[material[face]], lights, ambient, frames, maps, sphere,
                shift, rgb,
            )  # fmt: skip
            shaded_face[row, column] = face
            for channel in range(3):
                shaded[row, column, channel] = rgb[channel]
            for channel in range(4):
                colour[row, column, channel] += shaded[row, column, channel]


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _project(vertices: np.ndarray, camera: np.ndarray, points: np.ndarray) -> None:
    """Write homogeneous pixels; the last row of the camera matrix is (0, 0, 1)."""
    for vertex in range(len(vertices)):
        x, y, z = vertices[vertex, 0], vertices[vertex, 1], vertices[vertex, 2]
        points[vertex, 0] = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z
        points[vertex, 1] = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z
        points[vertex, 2] = z


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _directions() -> np.ndarray:
    """Spread ten directions evenly over the sphere."""
    directions = np.empty((10, 3))
    for k in range(10):
        z = 1 - (2 * k + 1) / 10
        ring = np.sqrt(1 - z * z)
        angle = 2.39996323 * k
        directions[k] = np.array([ring * np.cos(angle), z, ring * np.sin(angle)])
    return directions


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _look_at_joints(
    joint_px: np.ndarray,
    window: np.ndarray,
    face_id: np.ndarray,
    depth: np.ndarray,
    material: np.ndarray,
    seen_at_joint: np.ndarray,
) -> None:
    height, width = face_id.shape
    for joint in range(len(joint_px)):
        column = int(np.rint(joint_px[joint, 0] - window[0]))
        row = int(np.rint(joint_px[joint, 1] - window[1]))
        seen_at_joint[joint, 0], seen_at_joint[joint, 1] = np.inf, -1
        inside = 0 <= column < width and 0 <= row < height
        if inside and face_id[row, column] >= 0:
            seen_at_joint[joint, 0] = depth[row, column]
            seen_at_joint[joint, 1] = material[face_id[row, column]]


@compiled(nogil=True, error_model="numpy", inline="always")
@no_type_check
def _texel(texels: np.ndarray, w1: float, w2: float, subdivisions: int, out: np.ndarray) -> None:
    """Look a face's texture up; ``out`` receives 5 channels and the height's two slopes."""
    x, y = w1 * subdivisions, w2 * subdivisions
    i, j = min(int(x), subdivisions - 1), min(int(y), subdivisions - 1)
    if i + j > subdivisions - 1:
        j = subdivisions - 1 - i
    fx, fy = x - i, y - j
    row = i * (2 * subdivisions + 3 - i) // 2 + j
    below = (i + 1) * (2 * subdivisions + 2 - i) // 2 + j
    if fx + fy <= 1 or i + j >= subdivisions - 1:
        for c in range(5):
            t = float(texels[row, c])
            out[c] = t + fx * (texels[below, c] - t) + fy * (texels[row + 1, c] - t)
        out[5] = float(texels[below, 4]) - texels[row, 4]
        out[6] = float(texels[row + 1, 4]) - texels[row, 4]
    else:
        for c in range(5):
            t = float(texels[below + 1, c])
            out[c] = t + (1 - fx) * (texels[row + 1, c] - t) + (1 - fy) * (texels[below, c] - t)
        out[5] = float(texels[below + 1, 4]) - texels[row + 1, 4]
        out[6] = float(texels[below + 1, 4]) - texels[below, 4]
    for c in range(5):
        out[c] /= 255
    out[5] *= HEIGHT_RANGE_M * subdivisions / 255
    out[6] *= HEIGHT_RANGE_M * subdivisions / 255


@compiled(nogil=True, error_model="numpy", inline="always")
@no_type_check
def _locate(
    face: int,
    weights: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    visibility: np.ndarray,
    texel: np.ndarray,
    point: np.ndarray,
) -> None:
    """Write place (3), bumped unit normal (3), direction to the eye (3) and openness of a point."""
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    w0, w1, w2 = float(weights[0]), float(weights[1]), float(weights[2])
    for axis in range(3):
        point[axis] = w0 * vertices[a, axis] + w1 * vertices[b, axis] + w2 * vertices[c, axis]
        point[3 + axis] = w0 * normals[a, axis] + w1 * normals[b, axis] + w2 * normals[c, axis]
    _normalise(point, 3)
    # The height's slopes along the two edges tilt the normal (Blinn's bump mapping).
    ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
    ux, uy, uz = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
    vx, vy, vz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
    gx, gy, gz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    squared = max(gx * gx + gy * gy + gz * gz, 1e-14)
    du, dv = texel[5] / squared, texel[6] / squared
    point[3] -= du * (vy * gz - vz * gy) + dv * (gy * uz - gz * uy)
    point[4] -= du * (vz * gx - vx * gz) + dv * (gz * ux - gx * uz)
    point[5] -= du * (vx * gy - vy * gx) + dv * (gx * uy - gy * ux)
    _normalise(point, 3)
    point[6], point[7], point[8] = -point[0], -point[1], -point[2]
    _normalise(point, 6)
    point[9] = w0 * visibility[a] + w1 * visibility[b] + w2 * visibility[c]


@compiled(nogil=True, error_model="numpy", inline="always")
@no_type_check
def _normalise(values: np.ndarray, first: int) -> None:
    x, y, z = values[first], values[first + 1], values[first + 2]
    inverse = 1.0 / max(np.sqrt(x * x + y * y + z * z), 1e-9)
    values[first], values[first + 1], values[first + 2] = x * inverse, y * inverse, z * inverse


@compiled(nogil=True, error_model="numpy", inline="always")
@no_type_check
def _light_up(
    light: np.ndarray,
    lit: float,
    cosine: float,
    subsurface: float,
    shininess: float,
    point: np.ndarray,
    diffuse: np.ndarray,
    highlight: np.ndarray,
) -> None:
    """Add one light's diffuse light and highlight at a point."""
    # Light under the skin reaches past the terminator and past shadow borders, red farthest.
    for channel in range(3):
        wrap = subsurface * _WRAP[channel]
        reach = max((cosine + wrap) / ((1 + wrap) * (1 + wrap)), 0.0)
        bleed = subsurface * _BLEED[channel]
        diffuse[channel] += light[3 + channel] * reach * (lit + (1 - lit) * bleed)
    if cosine <= 0 or lit <= 0:
        return
    hx, hy, hz = light[0] + point[6], light[1] + point[7], light[2] + point[8]
    inverse = 1.0 / max(np.sqrt(hx * hx + hy * hy + hz * hz), 1e-9)
    sharp = (point[3] * hx + point[4] * hy + point[5] * hz) * inverse
    if sharp <= 0:
        return
    away = 1 - max((light[0] * hx + light[1] * hy + light[2] * hz) * inverse, 0.0)
    fresnel = 0.035 + 0.965 * away * away * away * away * away
    lobe = np.exp(shininess * np.log(sharp)) * (shininess + 8) * 0.125
    for channel in range(3):
        highlight[channel] += lit * cosine * fresnel * lobe * light[3 + channel]


@compiled(nogil=True, error_model="numpy", inline="always")
@no_type_check
def _shade(
    texel: np.ndarray,
    point: np.ndarray,
    material: np.ndarray,
    lights: np.ndarray,
    ambient: np.ndarray,
    frames: np.ndarray,
    maps: np.ndarray,
    sphere: np.ndarray,
    shift: float,
    rgb: np.ndarray,
) -> None:
    """Write the linear light that leaves a point towards the camera."""
    subsurface, gloss, openness = material[4], texel[3], point[9]
    facing = 1 - max(point[3] * point[6] + point[4] * point[7] + point[5] * point[8], 0.0)
    rim = facing * facing * facing * facing * facing
    up = 0.5 - 0.5 * point[4]
    diffuse, highlight = rgb[3:6], rgb[6:9]
    for channel in range(3):
        sky = up * ambient[0, channel] + (1 - up) * ambient[1, channel]
        # Light that bounces in creases takes the skin's colour: less dark, redder.
        albedo = texel[channel] * texel[channel]
        bounced = 1 - (1 - openness) * albedo * (0.5 + 0.5 * subsurface)
        diffuse[channel] = sky * openness / bounced
        highlight[channel] = 0.25 * (0.04 + rim) * openness * ambient[0, channel]
    for light in range(len(lights)):
        cosine = (
            point[3] * lights[light, 0] + point[4] * lights[light, 1] + point[5] * lights[light, 2]
        )
        if cosine < -_WRAP[0]:
            continue
        # The taps lie apart: on a slope the surface must not shade itself in bands, so the point
        # is lifted off it by as much as the farthest tap's depth can differ.
        tap_m = lights[light, 6] * sphere[3] / SHADOW_MAP_PX
        lift = 0.002 + min(tap_m, 0.008) * np.sqrt(max(1 - cosine * cosine, 0.0))
        lit = lit_share(
            maps[light], frames[light], sphere[:3], sphere[3], lights[light, 6],
            0.5 * shift * lights[light, 6],
            point[0] + lift * point[3], point[1] + lift * point[4], point[2] + lift * point[5],
        )  # fmt: skip
        _light_up(
            lights[light], lit, cosine, subsurface, 6.0 + 90.0 * gloss * gloss, point, diffuse,
            highlight,
        )  # fmt: skip
    for channel in range(3):
        albedo = texel[channel] * texel[channel] * material[channel]
        rgb[channel] = albedo * diffuse[channel] + material[3] * (0.3 + gloss) * highlight[channel]
