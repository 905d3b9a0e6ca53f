"""python scripts/review_invite.py [option=value ...]: as `histofed review invite`."""

import sys

from histofed.cli import main

if __name__ == "__main__":
    sys.exit(main(["review_invite", *sys.argv[1:]]))
