"""python scripts/federate_provision.py [option=value ...]: as `histofed federate provision`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["federate_provision", *sys.argv[1:]]))
