"""``histofed VERB --help``: the verb's own config files, comments and all, and its choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from histofed.pipeline.config import files_of, groups, groups_of

if TYPE_CHECKING:
    from pathlib import Path


def usage(verb: str, meaning: str) -> str:
    """Return the help of a verb as markup."""
    # What the verb adds comes first, then what it takes over from another.
    options = "\n".join(_options(file) for file in reversed(files_of(verb)))
    choices = "\n".join(
        f"[bold]{name}[/]={escape('|'.join(groups()[name]))}" for name in groups_of(verb)
    )
    choices = f"\n[bold]Choices[/] (each brings options of its own, configs/<choice>/)\n{choices}\n"
    return (
        f"[bold]histofed {verb}[/]  {escape(meaning)}\n\n"
        f"histofed {verb} \\[option=value ...]   an option inside a block is block.option=value\n"
        f"\n{options}\n"
        f"{choices if groups_of(verb) else ''}\n"
        f"All options with their values: `histofed {verb} --cfg job`; "
        "several values in turn: `--multirun option=1,2,3`."
    )


def _options(file: Path) -> str:
    """Return a config file without its list of defaults."""
    kept, inside = [], False
    for line in file.read_text(encoding="utf-8").splitlines():
        inside = line == "defaults:" or (inside and line.startswith("  - "))
        if not inside:
            kept.append(line)
    return escape("\n".join(kept).strip("\n")) + "\n"
