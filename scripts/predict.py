"""python scripts/predict.py [option=value ...]: the same as `histofed predict`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
