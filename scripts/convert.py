"""python scripts/convert.py [option=value ...]: the same as `histofed convert`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
