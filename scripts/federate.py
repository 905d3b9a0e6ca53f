"""python scripts/federate.py [option=value ...]: the same as `histofed federate`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["federate", *sys.argv[1:]]))
