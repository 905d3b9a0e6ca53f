"""python scripts/extract.py [option=value ...]: the same as `histofed extract`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["extract", *sys.argv[1:]]))
