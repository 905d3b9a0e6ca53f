"""python scripts/train.py [option=value ...]: the same as `histofed train`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
