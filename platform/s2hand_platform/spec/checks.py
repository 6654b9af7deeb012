"""Checks that recipes of several kinds share."""

from collections.abc import Iterable, Sequence

from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec.faults import Faults, Section


def check_metric(metric: str, where: str, experiment: Experiment, faults: Faults) -> None:
    """Note a metric that is not ``split/metric``, or that the experiment does not know."""
    split, separator, name = metric.partition("/")
    if metric and not (split and separator):
        faults.add(where, f"must be 'split/metric' such as 'test/{metric}', got '{metric}'")
    elif name and name not in experiment.metrics:
        faults.add_unknown(where, "metric", name, experiment.metrics)


def check_once(root: Section, key: str, what: str, words: Sequence[str]) -> None:
    """Note every word that stands more than once."""
    for word in sorted({word for word in words if word and words.count(word) > 1}):
        root.faults.add(key, f"the {what} '{word}' stands {words.count(word)} times, must be once")


def check_known(
    section: Section, key: str, kind: str, words: Iterable[str], known: Sequence[str]
) -> None:
    """Note every word that is not among the known ones."""
    for word in words:
        if word and word not in known:
            section.faults.add_unknown(section.place(key), kind, word, known)
