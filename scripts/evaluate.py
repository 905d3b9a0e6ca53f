"""python scripts/evaluate.py [option=value ...]: the same as `histofed evaluate`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
