"""python scripts/demo.py [option=value ...]: the same as `histofed demo`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
