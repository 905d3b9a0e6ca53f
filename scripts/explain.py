"""python scripts/explain.py [option=value ...]: the same as `histofed explain`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["explain", *sys.argv[1:]]))
