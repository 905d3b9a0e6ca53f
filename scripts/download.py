"""python scripts/download.py [option=value ...]: the same as `histofed download`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["download", *sys.argv[1:]]))
