"""python scripts/federate_serve.py [option=value ...]: the same as `histofed federate serve`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["federate_serve", *sys.argv[1:]]))
