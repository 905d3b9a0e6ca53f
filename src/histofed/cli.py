"""The command line: ``histofed VERB [option=value ...]``.

Options are Hydra overrides; Hydra's own flags (``--multirun``, ``--cfg job``, ``--config-dir``)
work as everywhere. Exit codes: 0 done, 1 crash, 2 refused (the message says why), 3 work left,
4 work left to other processes, 130 stopped by Ctrl-C, 141 nobody reads the output any more.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

import histofed
from histofed.errors import ConfigError, HistofedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

VERBS = {
    "demo": "the whole way on a synthetic cohort of four hospitals",
    "download": "slides and other files from the GDC data portal",
    "cohort": "tables of patients, slides and genes into a cohort with labels",
    "tile": "find the tissue of slides and the tiles in it",
    "extract": "encode the tiles of slides into features",
    "embed": "one embedding per slide from the features of its tiles",
    "encoders": "the tile encoders there are, and who may use them",
    "convert": "feature files of others into ours, ours into theirs; bag tables",
    "train": "cross-validated training on pooled patients",
    "federate": "federated training over hospitals, compared with local and pooled",
    "federate_provision": "keys and plan for the server and each hospital",
    "federate_serve": "the server of a federation of real hospitals",
    "federate_join": "a hospital's part in a federation",
    "predict": "the models of a run on other patients",
    "evaluate": "metrics with intervals, figures and the report of a run",
    "explain": "scores per tile and heatmaps of a run",
    "review": "the pathologist's page of a run",
    "review_invite": "a token for one reviewer of the page",
}

REFUSED = 2
INTERRUPTED = 130
UNREAD = 141

HYDRA_FLAGS = {
    "--cfg": 1, "-c": 1, "--resolve": 0, "--info": 1, "-i": 1, "--multirun": 0, "-m": 0,
    "--package": 1, "-p": 1, "--config-dir": 1, "-cd": 1, "--hydra-help": 0,
}  # fmt: skip
"""Flags that are handed over, and how many words belong to each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    errors = Console(stderr=True, soft_wrap=True)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        Console().print(_help())
        return 0
    if arguments[0] in ("--version", "version"):
        Console().print(f"histofed {histofed.__version__}")
        return 0
    verb, *overrides = arguments
    if overrides and f"{verb}_{overrides[0]}" in VERBS:
        verb, overrides = f"{verb}_{overrides[0]}", overrides[1:]
    if verb not in VERBS:
        errors.print(
            f"[red]histofed: {escape(verb)} is not a verb.[/] "
            f"One of: {', '.join(map(spoken, VERBS))}"
        )
        return REFUSED
    try:
        if verb == "encoders" and overrides[:1] == ["show"]:
            overrides = _to_show(overrides[1:])
        if any(argument in ("-h", "--help") for argument in overrides):
            from histofed.pipeline.usage import usage

            Console().print(usage(verb, VERBS[verb]), highlight=False, soft_wrap=True)
            return 0
        if any(argument.startswith("-") for argument in overrides):
            return _through_hydra(verb, overrides)
        from histofed.pipeline.config import compose

        return _run(verb, compose(verb, overrides), typed=overrides)
    except BrokenPipeError:  # as in `histofed ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (HistofedError, OSError) as error:
        return _refuse(verb, error)
    except KeyboardInterrupt:
        errors.print(f"histofed {spoken(verb)}: stopped; what was finished is kept")
        return INTERRUPTED


def spoken(verb: str) -> str:
    """Return a verb as it is typed: some are two words."""
    return verb.replace("_", " ")


def _to_show(words: list[str]) -> list[str]:
    """Return the options that ``encoders show NAME`` is short for."""
    if any(word.startswith("-") for word in words):
        return words
    if len(words) != 1:
        msg = "`show` takes the name of one encoder, as in `histofed encoders show virchow2`; "
        msg += "`histofed encoders` lists all of them"
        raise ConfigError(msg)
    return [f"name={words[0]}"]


def _refuse(verb: str, error: Exception) -> int:
    """Say why on standard error, without a traceback."""
    message = f"[red bold]histofed {spoken(verb)}:[/] {escape(str(error))}"
    Console(stderr=True, soft_wrap=True).print(message, highlight=False)
    return REFUSED


def _run(verb: str, config: DictConfig, *, typed: Sequence[str]) -> int:
    from histofed.pipeline import terminal
    from histofed.pipeline.config import to_object

    terminal.options_typed = typed
    module = importlib.import_module(f"histofed.pipeline.{verb}")
    code: int = module.run(to_object(config))
    return code


def _through_hydra(verb: str, overrides: list[str]) -> int:
    """Hand over to Hydra for its flags; every job runs the same verb."""
    import hydra

    from histofed.pipeline.config import check_options, checked, config_dir, quoted
    from histofed.pipeline.several import with_several

    flags, options = _apart(overrides)
    options = [quoted(each) for each in options]
    if not {"--config-dir", "-cd", "--package", "-p"} & set(flags):  # these bring other names
        check_options(verb, options)
        options = with_several(options)
    codes: list[int] = []

    def job(config: DictConfig) -> None:
        try:
            codes.append(_run(verb, checked(verb, config), typed=options))
        except (HistofedError, OSError) as error:  # the other jobs of a sweep go on
            codes.append(_refuse(verb, error))

    program = sys.argv
    with tempfile.TemporaryDirectory() as unused:  # runs have their own folders
        folders = ["hydra.run.dir=.", f"hydra.sweep.dir={unused}", "hydra.sweep.subdir=."]
        quiet = ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
        # Hydra wants its flags, and what belongs to them, before all options.
        sys.argv = [f"histofed {verb}", *flags, *options, *folders, *quiet]
        try:
            hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=verb)(job)()
        finally:
            sys.argv = program
    return max(codes, default=0)


def _apart(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's flags with the words that belong to them, and the options."""
    flags, options, owed = [], [], 0
    for argument in arguments:
        name, _, value = argument.partition("=")
        if owed:
            flags.append(argument)
            owed -= 1
        elif name in HYDRA_FLAGS:
            flags.append(argument)
            owed = HYDRA_FLAGS[name] if not value else 0
        elif argument.startswith("-"):
            msg = f"{argument} is not a flag; options are written name=value, as in seed=1. "
            msg += f"Flags: --help, {', '.join(each for each in HYDRA_FLAGS if each[1] == '-')}"
            raise ConfigError(msg)
        else:
            options.append(argument)
    return flags, options


def _help() -> str:
    verbs = "\n".join(f"  [bold]{spoken(verb):9}[/] {meaning}" for verb, meaning in VERBS.items())
    return (
        f"[bold]histofed {histofed.__version__}[/]  federated computational pathology\n\n"
        f"histofed VERB \\[option=value ...]\n\n{verbs}\n\n"
        "Options, with what they mean: `histofed VERB --help`.\n"
        "First steps: `histofed demo`"
    )


if __name__ == "__main__":
    sys.exit(main())
