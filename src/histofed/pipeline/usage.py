"""``histofed VERB --help``: the verb's own config files, comments and all, and its choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from histofed.pipeline.config import files_of, groups, groups_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

UNUSED = {
    "federate_provision": {
        "cohort", "work", "features", "run", "overwrite", "compare", "choose", "splits.file",
        "federation.min_patients", "federation.min_steps",
    },
}  # fmt: skip
"""Verb -> options that it takes over from another and does not use."""


def usage(verb: str, meaning: str) -> str:
    """Return the help of a verb as markup."""
    # What the verb adds comes first, then what it takes over from another.
    files = reversed(files_of(verb))
    options = "\n".join(_options(file, unused=UNUSED.get(verb, ())) for file in files)
    choices = "\n".join(
        f"[bold]{name}[/]={escape('|'.join(groups()[name]))}" for name in groups_of(verb)
    )
    choices = f"\n[bold]Choices[/] (each brings options of its own, configs/<choice>/)\n{choices}\n"
    typed = verb.replace("_", " ")
    return (
        f"[bold]histofed {typed}[/]  {escape(meaning)}\n\n"
        f"histofed {typed} \\[option=value ...]   an option inside a block is block.option=value\n"
        f"\n{options}\n"
        f"{choices if groups_of(verb) else ''}\n"
        f"All options with their values: `histofed {typed} --cfg job`; "
        "several values in turn: `--multirun option=1,2,3`."
    )


def _options(file: Path, *, unused: Collection[str]) -> str:
    """Return a config file without its list of defaults, and without some options."""
    kept: list[str] = []
    inside, block = False, ""
    for line in file.read_text(encoding="utf-8").splitlines():
        inside = line == "defaults:" or (inside and line.startswith("  - "))
        name = line.strip().partition(":")[0]
        block = name if line[:1].isalpha() else block
        if not inside and (name if block == name else f"{block}.{name}") not in unused:
            kept.append(line)
        elif not inside:
            # What is said above an option is said of it.
            while kept and kept[-1].lstrip().startswith("#") and "" in kept:
                kept.pop()
    return escape("\n".join(kept).strip("\n")) + "\n"
