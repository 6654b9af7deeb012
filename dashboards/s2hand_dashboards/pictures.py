"""Pictures of held-out samples: the best, the median and the worst by the baseline's error."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from s2hand_dashboards.contents import TableContents
from s2hand_platform.store.results import ResultStore

LICENCE = (
    "These pictures are of a dataset with a licence of its own. It says who may see them: check it "
    "before you pass this page on."
)

Pictures = Mapping[str, Mapping[str, bytes]]
"""Sample → kind → WebP."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplePictures:
    """What the rows made of one sample."""

    place: str
    """``best``, ``median`` or ``worst``."""
    sample_id: str
    error: float
    """The baseline row's, mean over its seeds."""
    rows: Mapping[str, Mapping[str, str]]
    """Row label → kind → picture as a data address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureGallery:
    """The pictures of a page, and why there are no more."""

    samples: Sequence[SamplePictures] = ()
    baseline: str = ""
    """Label of the row whose errors choose."""
    notes: Sequence[str] = ()


def choose_pictures(
    contents: TableContents, store: ResultStore, *, with_pictures: bool
) -> PictureGallery:
    """Choose pictures; those of data that is not of our own making only where they are asked for.

    Args:
        contents: the table.
        store: has the pictures.
        with_pictures: show those of any data.
    """
    baseline = contents.baseline
    if baseline is None:
        return PictureGallery()
    found = dict(_of_rows(contents, store))
    if not found.get(baseline):
        return PictureGallery()
    notes = []
    if any(row.measured_on.origin != "synthetic" for row in contents.plan.rows):
        if not with_pictures:
            why = "Pictures of this dataset are left out, as its licence says who may see them"
            return PictureGallery(notes=[f"{why}; --with-pictures shows them."])
        notes.append(LICENCE)
    errors = contents.samples[contents.samples["row"] == baseline]
    ranked = errors[errors["sample_id"].isin(found[baseline])]
    means = ranked.groupby("sample_id")["value"].mean().sort_values(kind="stable")
    samples = []
    for place, sample_id in _places([str(name) for name in means.index]):
        rows, faults = _readable(sample_id, found, contents)
        notes += faults
        samples.append(
            SamplePictures(
                place=place, sample_id=sample_id, error=float(means[sample_id]), rows=rows
            )
        )
    return PictureGallery(samples=samples, baseline=contents.labels[baseline], notes=notes)


def _of_rows(contents: TableContents, store: ResultStore) -> Iterator[tuple[str, Pictures]]:
    """Yield the pictures of each row, of its first seed."""
    split = contents.lead.metric.partition("/")[0]
    for row in contents.measured_rows:
        planned = contents.planned(row.id)
        if row.trial_ids and planned is not None:
            trial_id = row.trial_ids[min(row.trial_ids)]
            yield row.id, store.pictures(trial_id, split, evaluation=planned.evaluation)


def _places(ranked: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name the best, the median and the worst sample; of fewer than three what there is."""
    if ranked:
        chosen = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
        seen: set[str] = set()
        for place, sample_id in chosen.items():
            if sample_id not in seen:
                seen.add(sample_id)
                yield place, sample_id


def _readable(
    sample_id: str, found: Mapping[str, Pictures], contents: TableContents
) -> tuple[dict[str, dict[str, str]], list[str]]:
    rows: dict[str, dict[str, str]] = {}
    faults = []
    for row, pictures in found.items():
        for kind, content in pictures.get(sample_id, {}).items():
            if _is_picture(content):
                address = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
                rows.setdefault(contents.labels[row], {})[kind] = address
            else:
                faults.append(
                    f"The picture '{kind}' of sample {sample_id} by row '{row}' cannot be read; "
                    "to make it again, move its file out of the store and run the table again."
                )
    return rows, faults


def _is_picture(content: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(content), formats=["WEBP"]) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return False
    return True
