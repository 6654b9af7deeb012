"""Writes the embedded hand's asset."""

import sys

from tools.embedded_hand.build import ASSET, build, write

if __name__ == "__main__":
    write(build())
    sys.stdout.write(f"{ASSET}: {ASSET.stat().st_size / 1024:.0f} KiB\n")
