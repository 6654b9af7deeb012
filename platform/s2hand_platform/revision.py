"""Which commit of its repository code is of, and what was changed since."""

import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from s2hand_platform.settings import GIT, REVISION

TreeState = Literal["clean", "dirty", "untracked", "unknown"]
"""``dirty``: files that git tracks differ from the commit. ``untracked``: they do not, but there
are others beside them, not ignored. ``unknown``: there is no repository that tracks the code."""

_TIMEOUT_S = 20.0
_MAX_NAMES = 1000
"""Untracked files that are named; a folder of data may hold many more."""
_PLAIN = (
    "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/",
    "--dst-prefix=b/",
)  # fmt: skip
"""A patch that ``git apply`` takes, whatever the user's own settings are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """A commit, and how the files that ran relate to it. Told beside results, never compared."""

    commit: str | None = None
    """None where it is not known."""
    state: TreeState = "unknown"
    patch: str | None = None
    """SHA-256 of the text that says what differs from the commit; None where nothing does."""

    def __str__(self) -> str:
        """Write it as ``read_revision`` reads it."""
        return " ".join(filter(None, (self.commit, self.state, self.patch)))


UNKNOWN = Revision()


def find_revision(files: Iterable[str]) -> tuple[Revision, str]:
    """Find the revision of the repository that some files of code lie in.

    Code that lies in no repository, as that of a job on a cluster, may have been told which it is
    by who submitted it.

    Args:
        files: paths; those where there is no file are left out.

    Returns:
        The revision, and the text that its ``patch`` names: a line for every file or folder that
        git does not track, then the differences, which ``git apply`` takes as they are.
    """
    paths = [path for path in map(Path, files) if path.is_file()]
    try:
        with GIT.hidden():
            found = _of_repository(paths)
    except (OSError, subprocess.SubprocessError):  # no git, no repository, one of somebody else
        found = None
    return found or (read_revision(REVISION.choose().value), "")


def read_revision(text: str) -> Revision:
    """Read what ``str`` of a revision wrote; anything else is unknown."""
    match text.split():
        case [commit, state, *patch] if state in get_args(TreeState) and len(patch) < 2:
            return Revision(
                commit=commit, state=cast("TreeState", state), patch=patch[0] if patch else None
            )
    return UNKNOWN


def _of_repository(paths: list[Path]) -> tuple[Revision, str] | None:
    """Ask git; None where its repository is not that of all these files."""
    if not paths:
        return None
    root = Path(_git(paths[0].parent, "rev-parse", "--show-toplevel").strip())
    # An environment may lie inside a repository of something else, which tracks none of it.
    if not all(path.resolve().is_relative_to(root) for path in paths) or not _git(
        root, "ls-files", "--", *(str(path.resolve()) for path in paths)
    ):
        return None
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
    # With "normal" a folder of which git tracks nothing is one name: nobody looks through it.
    lines = _git(root, "status", "--porcelain", "--untracked-files=normal").splitlines()
    others = [line.removeprefix("?? ") for line in lines if line.startswith("?? ")]
    changed = _git(root, "diff", "HEAD", *_PLAIN) if len(others) < len(lines) else ""
    if not changed and not others:
        return Revision(commit=commit, state="clean"), ""
    text = _named(others) + changed
    patch = hashlib.sha256(text.encode()).hexdigest()
    state: TreeState = "dirty" if changed else "untracked"
    return Revision(commit=commit, state=state, patch=patch), text


def _named(others: list[str]) -> str:
    lines = [f"untracked: {name}\n" for name in others[:_MAX_NAMES]]
    if len(others) > _MAX_NAMES:
        lines.append(f"untracked: {len(others) - _MAX_NAMES} more\n")
    return "".join(lines)


def _git(folder: Path, *arguments: str) -> str:
    """Ask git, which is not to write what would only make its next answer quicker."""
    answer = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(folder), *arguments],
        capture_output=True,
        check=True,
        timeout=_TIMEOUT_S,
    )
    return answer.stdout.decode(errors="backslashreplace")
