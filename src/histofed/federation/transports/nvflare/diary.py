"""What happens at a place, as lines that another process can follow, and how it ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from histofed.io.atomic import atomic_text, naming_output

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from histofed.federation.history import RoundRecord


class Diary:
    """``diary.log`` and ``outcome.json`` of a run folder."""

    def __init__(self, run: Path) -> None:
        self.lines = run / "diary.log"
        self.outcome = run / "outcome.json"
        with naming_output(run):
            run.mkdir(parents=True, exist_ok=True)

    def say(self, line: str) -> None:
        """Add a line, with the time in UTC."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with naming_output(self.lines), self.lines.open("a", encoding="utf-8") as file:
            file.write(f"{now}  {line}\n")

    def since(self, position: int) -> tuple[list[str], int]:
        """Return the whole lines after a position, without their times, and the new position."""
        if not self.lines.is_file():
            return [], position
        with self.lines.open("rb") as file:
            file.seek(position)
            found = file.read()
        whole = found[: found.rfind(b"\n") + 1]
        lines = [line.partition("  ")[2] for line in whole.decode("utf-8").splitlines()]
        return lines, position + len(whole)

    def close(self, outcome: dict[str, Any]) -> None:
        """Say how it ended."""
        with atomic_text(self.outcome) as file:
            json.dump(outcome, file)

    def closed(self) -> dict[str, Any] | None:
        """Return how it ended; None while it goes on."""
        if not self.outcome.is_file():
            return None
        found: dict[str, Any] = json.loads(self.outcome.read_text(encoding="utf-8"))
        return found

    def reopen(self) -> None:
        """Forget how it ended."""
        self.outcome.unlink(missing_ok=True)


def round_line(part: str, record: RoundRecord) -> str:
    """Return a round as a line."""
    score = "" if record.score is None else f"  mean loss {record.score:.4f}"
    without = {**record.refused, **record.absent}
    refused = "".join(f"  {without[site]}" for site in sorted(without))
    which = "final" if record.final else f"{record.number}/{record.total}"
    return f"{part}  round {which}  {', '.join(sorted(record.metrics))}{score}{refused}"


def sums_line(part: str, there: Collection[str], sites: Collection[str]) -> str:
    """Return whose sums a part begins with, as a line."""
    line = f"{part}  features are standardised by the sums of {', '.join(sorted(there))}"
    if missing := sorted(set(sites) - set(there)):
        line += f"; without {', '.join(missing)}: who comes later trains with these"
    return line
