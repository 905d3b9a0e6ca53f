"""python scripts/federate_join.py [option=value ...]: the same as `histofed federate join`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["federate_join", *sys.argv[1:]]))
