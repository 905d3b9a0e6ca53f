"""``histofed review invite``: a token for one reviewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histofed.io.runs import RunFolder
from histofed.pipeline import terminal
from histofed.pipeline.review import reviews_path
from histofed.review.access import invite
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from histofed.pipeline.schema import ReviewInviteConfig


def run(config: ReviewInviteConfig) -> int:
    """Print a token, once; return the exit code."""
    folder = RunFolder(Path(config.run))
    folder.read()
    store = ReviewStore(reviews_path(folder, config.reviews))
    token = invite(store, config.reviewer, valid_days=config.valid_days)
    facts = {
        "token": token,
        "for": f"{config.reviewer}, {config.valid_days} days; it cannot be shown again",
    }
    elsewhere = f" reviews={config.reviews}" if config.reviews else ""
    following = f"histofed review run={config.run} access=token{elsewhere}"
    terminal.closing("invite", facts, next_command=following)
    return 0
