"""Every config composes, and every wrong option is refused by name. Walks ``configs``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from omegaconf import DictConfig, OmegaConf

from histofed.cli import VERBS, main
from histofed.core.tasks import (
    BinaryTask,
    Label,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
    Task,
)
from histofed.errors import ConfigError, HistofedError
from histofed.pipeline import build
from histofed.pipeline.asking import KINDS, task_of
from histofed.pipeline.config import compose, config_dir, groups, to_object
from histofed.pipeline.schema import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]

REQUIRED = {
    "federate_provision": ["hospitals=[a,b]", "host=localhost"],
    "federate_serve": ["kit=kits/server", "run=run"],
    "federate_join": ["kit=kits/a", "cohort=cohort.csv", "features=features", "run=run"],
    "predict": ["run=r", "cohort=c", "features=f", "out=o"],
    "evaluate": ["run=r"],
    "explain": ["run=r"],
    "review": ["run=r"],
    "review_invite": ["run=r", "reviewer=ada"],
    "convert": ["source=s", "out=o"],
    "embed": ["features=f"],
    "download": ["out=o"],
}
"""Options without a default; every other verb composes from nothing."""


def cancers_and_tasks() -> list[tuple[str, str]]:
    folder = config_dir() / "cancer"
    return [
        (cancer, task)
        for cancer in groups()["cancer"]
        for task in OmegaConf.load(folder / f"{cancer}.yaml").tasks
    ]


def refusal(verb: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(verb, [*REQUIRED.get(verb, []), *overrides])
    return str(caught.value)


def examples_of(task: Task) -> Iterator[tuple[dict[str, str], Label]]:
    """Yield every way to write each answer, in capitals too, and the label that it means."""
    if isinstance(task, BinaryTask):
        for number, words in enumerate((task.negative, task.positive)):
            for word in words:
                yield {task.column: word.upper()}, (number,)
    elif isinstance(task, MulticlassTask):
        for number, name in enumerate(task.classes):
            for word in task.values.get(name, (name,)):
                yield {task.column: word.upper()}, (number,)
    elif isinstance(task, MultilabelTask):
        for number, words in enumerate((task.negative, task.positive)):
            for word in words:
                yield dict.fromkeys(task.columns, word), (number,) * len(task.columns)
    elif isinstance(task, RegressionTask):
        yield dict.fromkeys(task.columns, "-1.5"), (-1.5,) * len(task.columns)
    else:
        assert isinstance(task, SurvivalTask)
        for number, words in enumerate((task.censored, task.event)):
            for word in words:
                yield {task.column: "3.25", task.event_column: word.upper()}, (3.25, number)


# Everything that is there composes.


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_composes(verb):
    options = to_object(compose(verb, REQUIRED.get(verb, [])))
    assert isinstance(options, SCHEMAS[verb])


@pytest.mark.parametrize("verb", sorted(REQUIRED))
def test_what_must_be_given_is_asked_for(verb):
    with pytest.raises(ConfigError) as caught:
        compose(verb, [])
    for option in REQUIRED[verb]:
        assert option.partition("=")[0] in str(caught.value)
    assert f"histofed {verb.replace('_', ' ')}" in str(caught.value)


@pytest.mark.parametrize(("cancer", "task"), cancers_and_tasks())
def test_every_task_of_every_cancer(cancer, task):
    options = to_object(compose("train", [f"cancer={cancer}", f"task={task}"]))
    assert (options.cancer.name, options.task.name) == (cancer, task)
    built = task_of(options.task)
    assert built.columns
    assert built.label(dict.fromkeys(built.columns, ""), "here") is None
    for cells, label in examples_of(built):
        assert built.label(cells, "here") == label
    assert cancer in options.run
    assert options.task.sense.endswith("?")


def test_every_kind_of_task_is_there_and_every_cancer_asks_for_survival():
    kinds = {
        (cancer, task): OmegaConf.load(config_dir() / "task" / f"{task}.yaml").kind
        for cancer, task in cancers_and_tasks()
    }
    assert set(kinds.values()) == set(KINDS)
    surviving = {cancer for (cancer, _), kind in kinds.items() if kind == "survival"}
    assert surviving == set(groups()["cancer"]) - {"demo"}


@pytest.mark.parametrize("head", ["evidence", "tile_risk", "tile_value_cd3e"])
def test_scores_of_every_kind_of_task_can_be_drawn(head):
    assert compose("explain", ["run=r", f"head={head}"]).head == head


@pytest.mark.parametrize("n_top", ["[0]", "[5,-1]"])
def test_every_number_of_a_list_has_limits(n_top):
    assert "aggregator.n_top is" in refusal(
        "train", "aggregator=he2rna", f"aggregator.n_top={n_top}"
    )


def test_the_four_cancers_are_there():
    assert {"lung", "breast", "mesothelioma", "myeloma", "demo"} <= set(groups()["cancer"])


def test_every_task_belongs_to_a_cancer_and_every_name_is_its_file():
    assert {task for _, task in cancers_and_tasks()} == set(groups()["task"])
    for group in ("cancer", "task", "encoder", "slide_encoder"):
        for choice in groups()[group]:
            assert OmegaConf.load(config_dir() / group / f"{choice}.yaml").name == choice


@pytest.mark.parametrize(
    ("group", "choice"),
    [
        (group, choice)
        for group, choices in groups().items()
        for choice in choices
        if group not in ("cancer", "task")
    ],
)
def test_every_choice_of_every_group_composes(group, choice):
    extracting = dict.fromkeys(("encoder", "tissue", "stain"), "extract")
    verb = (extracting | {"slide_encoder": "embed"}).get(group, "federate")
    config = compose(verb, [*REQUIRED.get(verb, []), f"{group}={choice}"])
    assert isinstance(config, DictConfig)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_default_says_what_it_is(verb):
    """A config file opens with the command it belongs to."""
    text = (config_dir() / f"{verb}.yaml").read_text(encoding="utf-8")
    assert text.startswith(f"# histofed {verb.replace('_', ' ')}")


# What is wrong is refused: the key and what is allowed are named.


@pytest.mark.parametrize(
    ("verb", "override", "words"),
    [
        ("train", "trainr.max_epochs=3", ["trainr", "trainer", "splits"]),
        ("train", "trainer.max_epoch=3", ["trainer.max_epoch", "max_epochs", "patience"]),
        ("train", "splits.nfolds=3", ["splits.nfolds", "n_folds"]),
        ("federate", "federation.round=3", ["federation.round", "rounds", "min_sites"]),
        ("train", "aggregator.hiden_dim=3", ["aggregator.hiden_dim", "hidden_dim"]),
        ("train", "+aggregator.hiden_dim=3", ["aggregator.hiden_dim", "hidden_dim"]),
        ("train", "++trainer.max_epoch=3", ["trainer.max_epoch", "max_epochs"]),
        ("train", "+trainer.max_epoch=3", ["max_epoch"]),
        ("train", "seeds=1", ["seeds", "seed"]),
        ("tile", "tiling.mp=0.5", ["tiling.mp", "mpp", "size_px"]),
        ("extract", "batchsize=1", ["batchsize", "batch_size"]),
        ("review", "prot=1", ["prot", "port"]),
        ("demo", "smal=true", ["smal", "small"]),
        ("train", "aggregator=abmill", ["abmill", *groups()["aggregator"]]),
        ("train", "cancer=lng", ["cancer=lng", *groups()["cancer"]]),
        ("train", "task=egrf", ["task=egrf", *groups()["task"]]),
        ("federate", "strategy=fedavgg", ["fedavgg", *groups()["strategy"]]),
        ("extract", "encoder=resnet", ["resnet", *groups()["encoder"]]),
        ("train", "trainer.max_epochs=many", ["trainer.max_epochs", "many is not a number"]),
        ("train", "splits.n_folds=2.5", ["splits.n_folds", "2.5"]),
        ("train", "overwrite=perhaps", ["overwrite", "perhaps"]),
        ("tile", "tiling.mpp=fine", ["tiling.mpp", "fine is not a number"]),
        ("train", "aggregator.hidden_dim=wide", ["aggregator.hidden_dim", "wide", "int"]),
        ("train", "aggregator.hidden_dim=true", ["aggregator.hidden_dim", "int"]),
        ("extract", "encoder.weights=3", ["encoder.weights", "3", "str"]),
        ("federate", "strategy.weighting=votes", ["votes", "patients", "equal", "sqrt"]),
        ("federate", "compare=local", ["compare"]),
        ("train", "cohort=${nowhere}", ["cohort", "nowhere"]),
        ("tile", "encoder=efficientnet_lite0", ["encoder"]),
        ("tile", "slides", ["name=value"]),
        ("train", "~trainer.patience", ["trainer.patience"]),
        ("train", "cancer=lung", ["mutated", "lung", "egfr"]),
        ("tile", "mpp=0,25", ["mpp=0,25", "decimals have a point"]),
        ("tile", "mpp=abc", ["mpp", "abc is not a number"]),
        ("tile", "quality.drop=pen", ["quality.drop", "in brackets"]),
        ("tile", "canser=lung", ["canser", "Did you mean cancer?"]),
    ],
)
def test_refusals_name_the_key_and_what_is_allowed(verb, override, words):
    message = refusal(verb, override)
    for word in words:
        assert word in message
    assert "\n" not in message


def test_the_nearest_name_is_offered():
    assert "Did you mean trainer.max_epochs?" in refusal("train", "trainer.max_epoch=3")
    assert "Did you mean cancer=lung?" in refusal("train", "cancer=lng")
    assert "Did you mean encoder=uni?" in refusal("extract", "encoder=UNI")
    assert "Did you mean encoder=h_optimus_0?" in refusal("extract", "encoder=H-optimus-0")
    assert "Did you mean tiling.size_px?" in refusal("extract", "size_px=256")
    assert "Did you mean encoder.weights?" in refusal("extract", "weights=uni.bin")


@pytest.mark.parametrize(
    "folder", ["köln", "a=b", "with space (1)", "it's", "a:b", "c\\d", "~nobody-here/x"]
)
def test_any_name_of_a_folder_is_read_as_it_is_typed(folder):
    assert compose("extract", [f"work={folder}"]).work == folder


def test_the_home_of_whoever_types_is_put_in(monkeypatch, capsys):
    """Shells do that at the beginning of a word only, and this is the middle of one."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert compose("extract", ["encoder.weights=~/uni.bin"]).encoder.weights == "/home/ann/uni.bin"
    assert main(["extract", "slides=~/slides (2)", "--cfg", "job"]) == 0
    assert "slides: /home/ann/slides (2)\n" in capsys.readouterr().out


def test_a_task_of_another_cancer_is_refused():
    message = refusal("train", "cancer=lung", "task=bap1")
    assert "bap1" in message
    assert "cancer=lung" in message
    assert "egfr, kras" in message


@pytest.mark.parametrize(
    "override",
    [
        "aggregator._target_=os.system",
        "aggregator._target_=subprocess.run",
        "aggregator._target_=histofed.pipeline.demo.run",
        "aggregator._target_=histofed.mil.aggregators.os.system",
        "aggregator._target_=histofed.mil.aggregators.base.abstractmethod",
        "aggregator._target_=histofed.mil.aggregators.nothing.Here",
        "aggregator._target_=3",
        "strategy._target_=histofed.mil.aggregators.mean.MeanPool",
        "encoder._target_=builtins.exec",
        "tissue._target_=os.system",
        "tissue._target_=histofed.extract.tissue.base.check_mask.nothing",
    ],
)
def test_only_our_classes_are_ever_loaded(override):
    group, _, target = override.partition("._target_=")
    message = refusal("tile" if group == "tissue" else "federate", override)
    assert group in message
    assert target.rpartition(".")[2] in message


@pytest.mark.parametrize(
    ("verb", "override"),
    [
        ("train", "trainer.max_epochs=0"),
        ("train", "trainer.patience=-1"),
        ("train", "trainer.batch_size=0"),
        ("train", "trainer.learning_rate=-1"),
        ("train", "trainer.tiles_per_bag=0"),
        ("train", "trainer.accelerator=abacus"),
        ("train", "trainer.precision=12"),
        ("train", "aggregator.hidden_dim=-3"),
        ("train", "aggregator.dropout=2"),
        ("train", "trainer.balance=perhaps"),
        ("train", "trainer.survival_loss=weibull"),
        ("train", "splits.scheme=random"),
        ("train", "splits.n_folds=2"),
        ("train", "seed=-1"),
        ("federate", "federation.rounds=0"),
        ("federate", "federation.epochs_per_round=0"),
        ("federate", "compare=[globally]"),
        ("extract", "batch_size=0"),
        ("extract", "batch_size=100000"),
        ("extract", "engine=steam"),
        ("tile", "mpp=-1"),
        ("tile", "tiling.min_tissue=3"),
        ("evaluate", "n_resamples=0"),
        ("evaluate", "sensitivity=0"),
        ("evaluate", "permutations=-1"),
        ("explain", "head=liver"),
        ("explain", "pictures=-1"),
        ("review", "port=99999999"),
    ],
)
def test_impossible_values_are_refused_before_any_work(verb, override):
    assert override.partition("=")[0] in refusal(verb, override)


@pytest.mark.parametrize(
    ("option", "lowest", "highest", "beyond"),
    [
        ("mpp", "0.05", "5", ["0.0499", "5.1", "1e300"]),
        ("tissue.mpp", "1", "100", ["0", "100.1", "1e300"]),
        ("tissue.closing_um", "0", "1000", ["-1", "1000.5", "1e9"]),
        ("quality.mpp", "0.5", "20", ["0", "20.1", "1e300"]),
        ("tiling.size_px", "16", "4096", ["15", "1"]),
    ],
)
def test_measures_have_both_ends_or_a_least(option, lowest, highest, beyond):
    for value in (lowest, highest):
        assert OmegaConf.select(compose("tile", [f"{option}={value}"]), option) == float(value)
    for value in beyond:
        assert f"{option} is " in refusal("tile", f"{option}={value}")


@pytest.mark.parametrize("override", ["aggregator=null", "trainer=null", "cancer=null"])
def test_no_choice_is_refused(override):
    try:
        compose("train", [override])
    except HistofedError:
        return
    pytest.fail("composed")


# Where the configs are, and the scripts.


def run_python(code: str, *, path: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SHOW = """
import histofed
from histofed.pipeline.config import compose, config_dir
print(histofed.__file__); print(config_dir()); print(compose("tile", ["slides=x"]).slides)
"""


def test_configs_are_found_in_a_checkout():
    source = REPOSITORY / "src"
    file, folder, slides = run_python(SHOW, path=source).split()
    assert Path(file).is_relative_to(source)
    assert Path(folder) == REPOSITORY / "configs"
    assert slides == "x"


def test_configs_are_found_in_an_installed_package(tmp_path):
    package = tmp_path / "site-packages" / "histofed"
    no_rubbish = shutil.ignore_patterns("__pycache__", "vendor")
    shutil.copytree(REPOSITORY / "src" / "histofed", package, ignore=no_rubbish)
    shutil.copytree(REPOSITORY / "configs", package / "configs")
    file, folder, slides = run_python(SHOW, path=package.parent).split()
    assert Path(file).is_relative_to(package)
    assert Path(folder) == package / "configs"
    assert slides == "x"


def test_a_package_without_configs_says_so(tmp_path):
    package = tmp_path / "site-packages" / "histofed"
    shutil.copytree(
        REPOSITORY / "src" / "histofed", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    code = """
from histofed.errors import ConfigError
from histofed.pipeline.config import config_dir
try: config_dir()
except ConfigError as error: print(error)
"""
    assert "install" in run_python(code, path=package.parent)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_a_script_that_is_the_command(verb):
    text = (REPOSITORY / "scripts" / f"{verb}.py").read_text(encoding="utf-8")
    assert re.search(rf'main\(\["{verb}", \*sys\.argv\[1:\]\]\)', text)


def test_a_script_does_what_the_command_does(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "COLUMNS": "400"}

    def run(*command: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, *command, "run=nowhere"],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    script = run(str(REPOSITORY / "scripts" / "evaluate.py"))
    assert script == run("-m", "histofed", "evaluate")
    assert script[0] == 2
    assert "nowhere is not a run folder" in script[2]


class Segmenter:
    """A tissue method of somebody else's package."""

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold


def test_a_declared_tissue_method_of_another_package_is_loaded(monkeypatch):
    declared = EntryPoint("theirs", f"{__name__}:Segmenter", "histofed.tissue")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Segmenter.__module__])
    monkeypatch.setattr(build, "entry_points", lambda group: [declared])
    config = OmegaConf.create({"_target_": f"{__name__}.Segmenter", "threshold": 0.25})
    build.check_component("tissue", config)
    assert build.tissue(config).threshold == 0.25
    with pytest.raises(ConfigError, match=r"tissue\.treshold .*tissue\.threshold"):
        build.check_component("tissue", OmegaConf.create({**config, "treshold": 1}))
    monkeypatch.setattr(build, "entry_points", lambda group: [])
    with pytest.raises(ConfigError, match=r"entry point histofed\.tissue"):
        build.check_component("tissue", config)
