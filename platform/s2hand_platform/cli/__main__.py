"""``python -m s2hand_platform.cli …``."""

from s2hand_platform.cli import main

main()
