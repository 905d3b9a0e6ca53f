"""python scripts/cohort.py [option=value ...]: the same as `histofed cohort`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["cohort", *sys.argv[1:]]))
