"""``python -m histofed``."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main())
