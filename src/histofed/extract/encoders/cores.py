"""A CPU's cores, each with tiles of its own.

Splitting every operation of a network over the cores makes them wait for one another at each of its
hundred layers; with other work on the machine, where one of them is always late, that made encoding
ten times slower. Whole networks side by side wait once a batch. And as one core does all of a
tile's arithmetic, its features do not depend on how many cores there are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def on_every_core(
    work: Callable[[torch.Tensor], torch.Tensor], parts: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Return ``[work(part) for part in parts]``; as many at a time as torch may use threads."""
    threads = torch.get_num_threads()
    if threads == 1:
        return [work(part) for part in parts]

    @torch.inference_mode()  # of this thread, as is the number of threads
    def alone(part: torch.Tensor) -> torch.Tensor:
        return work(part)

    workers = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with workers:
            return list(workers.map(alone, parts))
    finally:
        torch.set_num_threads(threads)  # else 1 would be that of every later thread
