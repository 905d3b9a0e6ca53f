"""python scripts/embed.py [option=value ...]: the same as `histofed embed`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["embed", *sys.argv[1:]]))
