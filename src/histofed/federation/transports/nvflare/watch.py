"""A process that lives no longer than the one that started it."""

from __future__ import annotations

import os
import threading
import time

GRACE_S = 5.0
"""What an orderly end may take."""


def end_with_parent(*, grace_s: float = GRACE_S) -> None:
    """End this process when its parent is gone, however that went.

    A parent that was killed cannot end its children, and one that nobody has waited for still has
    its number: what tells is that the children get another parent.
    """
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
