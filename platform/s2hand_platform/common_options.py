"""Options that the experiments' commands share with the platform's own."""

import logging
from typing import Annotated

import typer

WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER", help="Folder of all results; else S2HAND_WORKSPACE or ./workspace."
    ),
]

AddressOption = Annotated[
    str | None,
    typer.Option(
        help="HOST:PORT of a Ray cluster, auto, or local; else S2HAND_ADDRESS, RAY_ADDRESS, or a "
        "Ray of our own on this machine, as local means."
    ),
]

KeptDataOption = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="NAME|PATH|NAME=PATH", help="As it was run."),
]


class _Once(logging.Filter):
    """Lets a line pass once: a setting may be asked for many times."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        new = line not in self._told
        self._told.add(line)
        return new


def _tell_more(wished: bool) -> bool:  # noqa: FBT001 - the signature is typer's
    if wished:
        handler = logging.StreamHandler()
        handler.addFilter(_Once())
        log = logging.getLogger("s2hand_platform")
        log.handlers = [handler]
        log.setLevel(logging.INFO)
    return wished


VerboseOption = Annotated[  # acts when it is parsed: commands only list it
    bool,
    typer.Option(
        "--verbose",
        is_eager=True,
        callback=_tell_more,
        help="Say what each setting is, and where that stands.",
    ),
]
