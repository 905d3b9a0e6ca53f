"""What a hospital does in a federation over a network; the transport calls it.

The training is that of `histofed.pipeline.fit`, so a simulation and real hospitals make the same
models.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.rows import Rows
from histofed.errors import ConfigError, FederationError
from histofed.federation.agreement import Facts, check_agreement
from histofed.federation.gate import infinite_in
from histofed.federation.metrics_wire import metrics_record
from histofed.federation.site_metrics import MOST_QUESTIONS, SiteMetrics
from histofed.federation.state import load_state
from histofed.io.runs import read_json, write_json
from histofed.mil.fitting import quiet
from histofed.mil.weights import load_weights
from histofed.pipeline.agreeing import facts_of, planned_facts
from histofed.pipeline.arms import Arm
from histofed.pipeline.federate import FEDERATED
from histofed.pipeline.fit import new_module, save, site_body
from histofed.pipeline.joining import check_enough, check_site, take_folder
from histofed.pipeline.local_training import update_dtype_of
from histofed.pipeline.over_hospitals import METRICS, answer_about
from histofed.pipeline.plan import Plan
from histofed.pipeline.predicted import read_arms
from histofed.pipeline.study import open_study
from histofed.pipeline.sums import add_up, sums_by_site
from histofed.pipeline.train import add_fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from histofed.core.splits import Fold
    from histofed.federation.exchange import Exchange
    from histofed.mil.module import MILModule
    from histofed.mil.objectives.base import Sums


class Hospital:
    """One hospital's patients, in the words of `SiteWork`.

    Parameters
    ----------
    options
        ``kit``, ``site``, and what ``histofed federate join`` takes.

    Raises
    ------
    ConfigError, CohortError, StoreError
        The plan, the cohort or the features are at fault.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.plan = Plan.read(Path(options["kit"]))
        self.agreement = self.plan.agreement
        self.site = str(options["site"])
        local = {name: options[name] for name in ("cohort", "features", "work", "run")}
        # Whether results may be replaced is asked where the run is begun.
        config = self.plan.at(
            **local,
            **{
                "overwrite": True,
                "splits.file": options.get("splits_file"),
                "federation.min_patients": options["min_patients"],
                "federation.min_steps": options["min_steps"],
            },
        )
        self.update_dtype = update_dtype_of(config.federation)
        check_site(config, self.site)
        self.study = open_study(config)
        self._fold_of = {f"fold-{fold.number}": fold for fold in self.study.folds}
        if list(self._fold_of) != self.plan.parts:
            msg = (
                f"the plan has {len(self.plan.parts)} folds (splits.n_folds), this hospital "
                f"{len(self._fold_of)}"
            )
            raise ConfigError(msg)
        self._fewest = config.federation.min_patients
        self._rows: Rows | None = None
        self._metrics: SiteMetrics | None = None

    def begin(self) -> str:
        """Start the run folder, or go on in it; return what to say of an earlier try.

        Raises
        ------
        ConfigError
            It holds another run, or this hospital may never send.
        FederationError
            This hospital has not what the plan states.
        """
        planned = Facts.of(planned_facts(self.study.config, self.study.task).record())
        check_agreement({self.site: Facts.of(self.facts())}, expected=planned)
        check_enough(self.study, self.site, fewest=self._fewest)
        return take_folder(self.study)

    def facts(self) -> dict[str, Any]:
        """Return what all sites must have in common."""
        return facts_of(self.study).record()

    def sums(self, part: str) -> Sums:
        """Return the sums over the training patients of a fold.

        Raises
        ------
        FederationError
            They are too few; their number is not in the message.
        """
        found = sums_by_site(self.study, self._fold(part), self.study.bags)
        if self.site not in found:
            msg = f"{part}: this hospital has no patient to train on"
            raise FederationError(msg)
        if found[self.site]["label_n_patients"] < self._fewest:
            msg = (
                f"{part}: fewer than {self._fewest} patients to train on (min_patients), so their "
            )
            msg += "sums stay here"
            raise FederationError(msg)
        return found[self.site]

    def train(self, part: str, exchange: Exchange) -> None:
        """Train in a fold until its final round."""
        fold = self._fold(part)
        folder = self.study.run.fold(FEDERATED, fold.number)
        folder.mkdir(parents=True, exist_ok=True)
        body = site_body(
            self.study, fold, self.site, lambda: self._module(fold), folder=folder,
            memory=self.study.run.path / "memory" / part,
        )  # fmt: skip
        with quiet():
            body(exchange)

    def keep(self, part: str, state: Mapping[str, Tensor]) -> None:
        """Write the finished model of a fold.

        Raises
        ------
        FederationError
            It is not one of this plan, or not finite.
        """
        fold = self._fold(part)
        module, where = self._module(fold), f"site {self.site}, {part}, the finished model"
        if fault := infinite_in(state):
            msg = f"{where}: {fault}; it was not kept. Ask who runs the server"
            raise FederationError(msg)
        load_state(module, state, where=where)
        save(self.study, module, self.study.run.fold(FEDERATED, fold.number))

    def evaluate(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a question about the finished models on this hospital's own tested patients.

        Raises
        ------
        FederationError
            They are too few, or it is no such question, or one too many.
        """
        task = self.study.task
        if self._rows is None:
            self.finish()
            self._rows = Rows.of(read_arms(self.study.run)[FEDERATED])
        metrics = self._metrics = self._metrics or SiteMetrics.of(
            task, self._rows, Resampling(), fewest=self._fewest
        )
        if question.get("of") == METRICS:
            return metrics_record(metrics)
        output = str(question.get("output"))
        if output not in metrics.outputs or not self._may_ask(output, question):
            msg = f"output {output!r}: nothing of it leaves, or enough was asked of it"
            raise FederationError(msg)
        return answer_about(task, self._rows, question, fewest=self._fewest)

    def _may_ask(self, output: str, question: Mapping[str, Any]) -> bool:
        """Note a question, in a file: a new job does not begin to count anew.

        One that was asked before, by a server that was started again, tells nothing more.
        """
        file = self.study.run.path / "memory" / "asked.json"
        asked: dict[str, list[str]] = read_json(file) if file.exists() else {}
        this = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        known = asked.setdefault(output, [])
        if this not in known:
            if len(known) >= MOST_QUESTIONS:
                return False
            known.append(this)
            write_json(file, asked)
        return True

    def finish(self) -> None:
        """Predict this hospital's own tested patients with the models that were kept."""
        arm = Arm.of(self.study, FEDERATED)
        if arm.is_written():
            return
        for fold in self.study.folds:
            module = self._module(fold)
            file = self.study.run.fold(FEDERATED, fold.number) / "model.safetensors"
            load_weights(file, module, of=type(module.aggregator).__name__)
            add_fold(self.study, arm, fold, module)
        arm.write()

    def _module(self, fold: Fold) -> MILModule:
        # What it standardises with comes with the first round.
        sums = add_up(sums_by_site(self.study, fold, self.study.bags))
        return new_module(self.study.config, self.study.task, fold.number, sums)

    def _fold(self, part: str) -> Fold:
        if part not in self._fold_of:
            msg = f"the plan has no {part!r}; it has {', '.join(self._fold_of)}"
            raise FederationError(msg)
        return self._fold_of[part]


def open_hospital(options: Mapping[str, Any]) -> Hospital:
    """Return a hospital's work; the transport's process calls this."""
    return Hospital(options)
