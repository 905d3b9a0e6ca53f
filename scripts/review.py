"""python scripts/review.py [option=value ...]: the same as `histofed review`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["review", *sys.argv[1:]]))
