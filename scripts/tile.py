"""python scripts/tile.py [option=value ...]: the same as `histofed tile`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["tile", *sys.argv[1:]]))
