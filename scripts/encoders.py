"""python scripts/encoders.py [option=value ...]: the same as `histofed encoders`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["encoders", *sys.argv[1:]]))
