"""What a dataset is: enough for a table or a page to say what was trained and measured on.

A record comes from the files, not from the words of a command: a synthetic set in a folder called
``ho3d`` is synthetic, and the published set is official at any path.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from s2hand.config import S2HandConfig
from s2hand.data.build import (
    Source,
    evaluation_source,
    extra_sources,
    training_source,
    validation_source,
)
from s2hand.data.fingerprint import (
    cache_dir_of,
    content_digests,
    fingerprint_of,
    fingerprint_of_training,
)
from s2hand.data.loader import Survey
from s2hand.data.manifest import MANIFEST_NAME, Manifest, find_manifest
from s2hand.layouts import LAYOUTS, DatasetName, Kind, PublishedSplit, PublishedVersion, Split
from s2hand.plain_data import from_plain

Origin = Literal["official", "synthetic", "own"]
"""``official``: counts and lists are those of a published release. ``synthetic``: a generated
set's manifest says so. ``own``: anything else; never compared with published numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """How a synthetic set was made."""

    generator_version: int
    seed: int
    image_size_px: int
    size: Mapping[str, Any]
    """Counts of images, sequences, subjects and so on, of each namespace in the set."""
    detections: str
    """Whose errors the detected keypoints have."""
    is_unchanged: bool
    """Whether the files that are read are those that the manifest lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetRecord:
    """One split of a dataset, as it lies on the disk."""

    name: DatasetName
    """Of the layout."""
    version: str
    """The release, such as ``v2``, of official sets; empty if unknown."""
    origin: Origin
    why_not_official: str
    """The first thing in which the set is not the published one; empty for official sets."""
    split: Split
    frames: int
    """Entries of the split, before a configuration or missing annotations leave some out."""
    sequences: int
    """0 in collections."""
    kind: Kind
    handedness: str
    truth: tuple[str, ...]
    """What is known of every frame, of ``joints``, ``vertices``, ``rotations``."""
    detections: bool
    """Whether there are files of detected keypoints."""
    intrinsics: bool
    """Whether every frame has its camera."""
    image_formats: tuple[str, ...]
    """Endings of the image files, such as ``.jpg``."""
    image_size_px: tuple[int, ...]
    """Width and height of the first image."""
    generation: Generation | None = None
    """Of synthetic sets."""

    @property
    def title(self) -> str:
        """Say in a line what the set is."""
        layout = LAYOUTS[self.name].title
        if not LAYOUTS[self.name].versions:
            return f"{layout.lower()} of one's own"
        if self.origin == "official":
            return f"{layout} {self.version}"
        if self.generation is None:
            return f"own data in {layout}'s layout"
        changed = "" if self.generation.is_unchanged else ", changed since it was made"
        return f"synthetic ({layout}'s layout, seed {self.generation.seed}{changed})"

    def to_plain(self) -> dict[str, Any]:
        """Dump to JSON's types."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "DatasetRecord":
        """Rebuild from what ``to_plain`` gave.

        Raises:
            ConfigurationError: If a field is missing, unknown or of another type.
        """
        return from_plain(cls, plain, "dataset record")


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetRecords:
    """The sets of a configuration."""

    training: DatasetRecord
    evaluation: DatasetRecord
    extra: tuple[DatasetRecord, ...] = ()
    """Of what is trained on besides."""
    validation: DatasetRecord | None = None
    """Of a validation set of its own."""

    @property
    def title(self) -> str:
        """Say in a line what was trained and measured on."""
        trained_on = " and ".join(each.title for each in (self.training, *self.extra))
        if self.evaluation.title == trained_on:
            return trained_on
        return f"{self.evaluation.title}, trained on {trained_on}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """What a training says of its sets."""

    fingerprint: str
    """See ``fingerprint_training_data``."""
    record: DatasetRecord
    extra: tuple[DatasetRecord, ...] = ()
    """Of what it trains on besides."""


def identify_training_data(config: S2HandConfig) -> TrainingData:
    """Fingerprint and describe what a configuration trains on, its files read once.

    Raises:
        DataError: If a list, a folder or a file is missing or cannot be read.
    """
    fingerprints, records = [], []
    for source in (training_source(config), *extra_sources(config)):
        digests = content_digests(source, cache_dir_of(config))
        fingerprints.append(fingerprint_of(source, digests))
        records.append(_describe(source, digests))
    first, *extra = records
    return TrainingData(
        fingerprint=fingerprint_of_training(fingerprints), record=first, extra=tuple(extra)
    )


def describe_datasets(config: S2HandConfig) -> DatasetRecords:
    """Describe the sets that a configuration trains on, is evaluated and validated on.

    Lists and folders are read, not every file; of synthetic sets, whose content is compared with
    the manifest, the digests that the fingerprint remembers.

    Raises:
        DataError: If a list or a folder is missing, or a file of a synthetic set unreadable.
    """

    def describe(source: Source) -> DatasetRecord:
        return _describe(source, content_digests(source, cache_dir_of(config)))

    validation = validation_source(config)
    return DatasetRecords(
        training=describe(training_source(config)),
        evaluation=describe(evaluation_source(config)),
        extra=tuple(map(describe, extra_sources(config))),
        validation=None if validation is None else describe(validation),
    )


def _describe(source: Source, digests: Mapping[str, str]) -> DatasetRecord:
    layout, survey = source.layout, source.survey()
    version, why_not_official = release(source, survey)
    found = find_manifest(source.folder)
    generation = None
    origin: Origin = "own" if why_not_official else "official"
    if found is not None:
        manifest, prefix = found
        origin, version = "synthetic", ""
        why_not_official = f"{MANIFEST_NAME} says that the set was generated"
        generation = _generation(manifest, prefix, digests)
    return DatasetRecord(
        name=layout.name,
        version=version,
        origin=origin,
        why_not_official=why_not_official,
        split=source.split,
        frames=survey.frames,
        sequences=len(survey.sequences),
        kind=layout.kind,
        handedness=layout.handedness,
        truth=survey.truth,
        detections=survey.detections,
        intrinsics=survey.intrinsics,
        image_formats=survey.image_suffixes,
        image_size_px=survey.image_size_px,
        generation=generation,
    )


def _generation(manifest: Manifest, prefix: str, digests: Mapping[str, str]) -> Generation:
    parameters = manifest.parameters
    return Generation(
        generator_version=manifest.generator_version,
        seed=parameters["seed"],
        image_size_px=parameters["image_size_px"],
        size=parameters["size"],
        detections=parameters.get("detections", "simulated"),  # the only ones of earlier versions
        is_unchanged=all(
            manifest.files.get(prefix + name) == digest for name, digest in digests.items()
        ),
    )


def release(source: Source, survey: Survey) -> tuple[str, str]:
    """Return the published release that a split is, or "" and why it is none."""
    title, versions = source.layout.title, source.layout.versions
    if not versions:
        return "", "nobody publishes it"
    for version in versions:
        published = version.splits[source.split]
        if published.frames == survey.frames:
            why_not = next(_mismatches(survey, published, version, title), "")
            return ("" if why_not else version.name), why_not
    wanted = ", ".join(f"{title} {v.name} has {v.splits[source.split].frames:,}" for v in versions)
    return "", f"{survey.frames:,} frames; {wanted}"


def _mismatches(
    survey: Survey, published: PublishedSplit, version: PublishedVersion, title: str
) -> Iterator[str]:
    """Say in what a split of the right length is not the published one."""
    name = f"{title} {version.name}"
    if survey.image_suffixes != (version.image_suffix,):
        yield f"images are {', '.join(survey.image_suffixes)}; {name} has {version.image_suffix}"
    size_px = version.image_size_px
    if size_px is not None and survey.image_size_px != size_px:
        width, height = survey.image_size_px
        wanted = "x".join(map(str, size_px))
        yield f"images of {width}x{height} px; {name} has {wanted}"
    if published.image_files not in {None, survey.image_files}:
        yield f"{survey.image_files:,} image files; {name} has {published.image_files:,}"
    if survey.missing_images:
        yield f"{survey.missing_images:,} images of {name} are missing"
    if published.sequences not in {None, len(survey.sequences)}:
        yield f"{len(survey.sequences)} sequences; {name} has {published.sequences}"
    names = published.sequence_names
    if names is not None and names != set(survey.sequences):
        foreign = sorted(set(survey.sequences) - names)
        yield f"a sequence {foreign[0]}; {name} has none of that name"
