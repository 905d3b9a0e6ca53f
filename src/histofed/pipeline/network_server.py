"""What the server does in a federation over a network; the transport calls it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from histofed.federation.agreement import Facts, check_agreement
from histofed.federation.commits import commits_in
from histofed.federation.run_plan import RunPlan
from histofed.federation.server import Server
from histofed.federation.state import trainable_names
from histofed.federation.transports.nvflare.places import Patience
from histofed.io.runs import RunFolder, read_json, write_json
from histofed.mil.weights import save_weights
from histofed.pipeline import build
from histofed.pipeline.agreeing import planned_facts
from histofed.pipeline.asking import task_of
from histofed.pipeline.federate import FEDERATED
from histofed.pipeline.fit import SELECTION, limits_of, new_module, write_rounds
from histofed.pipeline.over_hospitals import asked_of_all
from histofed.pipeline.plan import Plan
from histofed.pipeline.sums import add_up, faults_in, sums_of_nobody

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.federation.history import FederatedResult
    from histofed.mil.objectives.base import Sums
    from histofed.pipeline.over_hospitals import Put


class Coordinator:
    """The server, in the words of `ServerWork`.

    Parameters
    ----------
    options
        ``kit``, ``run``, ``deadline_s`` and ``grace_s``.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.plan = Plan.read(Path(options["kit"]))
        self.config = self.plan.at()
        self.task = task_of(self.config.task)
        self.folder = RunFolder(Path(options["run"]))
        self.agreement, self.run = self.plan.agreement, self.plan.agreement[:16]
        self.parts, self.sites = self.plan.parts, self.plan.hospitals
        self.quorum = self.config.federation.min_sites
        self.patience = Patience(
            deadline_s=float(options["deadline_s"]), grace_s=float(options["grace_s"])
        )

    def check(self, facts: Mapping[str, Any]) -> None:
        """Refuse hospitals that differ in what they must share; name each difference."""
        agreed = {site: Facts.of(told) for site, told in facts.items()}
        expected = planned_facts(self.config, self.task)
        check_agreement(agreed, expected=Facts.of(expected.record()))
        self._dim = int(next(iter(agreed.values())).dim or 0)

    def faults_in(self, sums: Mapping[str, Sums]) -> dict[str, str]:
        """Refuse sums that are none of patients with the features that were agreed."""
        return faults_in(sums, like=sums_of_nobody(self.config, self.task, dim=self._dim))

    def resume(self, part: str) -> Server | None:
        """Return the server of a fold as its last round left it."""
        folder = self._journal(part)
        if not commits_in(folder):
            return None
        declared = read_json(self._declared(part))
        strategy = build.strategy(self.config.strategy)
        return Server.resume(strategy, self._run_plan(part, declared), folder=folder)

    def start(self, part: str, sums: Mapping[str, Sums]) -> Server:
        """Return the server of a fold that begins."""
        number = int(part.removeprefix("fold-"))
        module = new_module(self.config, self.task, number, add_up(sums))
        # No update may count more patients than the sums were over.
        declared = {site: int(each["label_n_patients"]) for site, each in sums.items()}
        write_json(self._declared(part), declared)
        strategy = build.strategy(self.config.strategy)
        return Server(
            strategy,
            self._run_plan(part, declared),
            initial_state=module.state_dict(),
            trainable=trainable_names(module),
            folder=self._journal(part),
        )

    def close(self, part: str, result: FederatedResult) -> None:
        """Write the model that is kept, and the rounds."""
        folder = self.folder.path / FEDERATED / part
        folder.mkdir(parents=True, exist_ok=True)
        write_rounds(folder, result)
        dim = len(result.best_state["aggregator.feature_mean_D"])
        module = build.module(self.config, self.task, dim=dim)
        module.load_state_dict(result.best_state)
        about = {"task": self.config.task.name, "agreement": self.agreement}
        save_weights(folder / "model.safetensors", module, about=about)

    def evaluate(self, put: Put) -> None:
        """Ask the hospitals for their numbers; write ``metrics.json``."""
        numbers = asked_of_all(self.task, put) | {"sums_from": self.sums_from()}
        write_json(self.folder.metrics, numbers)

    def sums_from(self) -> dict[str, list[str]]:
        """Return, for each fold that has begun, the hospitals whose sums it began with."""
        files = {part: self._declared(part) for part in self.parts}
        return {part: sorted(read_json(file)) for part, file in files.items() if file.is_file()}

    def _run_plan(self, part: str, declared: Mapping[str, int]) -> RunPlan:
        return RunPlan(
            sites=self.sites,
            rounds=self.config.federation.rounds,
            selection=SELECTION,
            quorum=self.quorum,
            run=f"{self.run}/{part}",
            config=self.agreement,
            limits=limits_of(self.config, declared=declared),
        )

    def _declared(self, part: str) -> Path:
        return self.folder.path / "declared" / f"{part}.json"

    def _journal(self, part: str) -> Path:
        return self.folder.path / "journal" / part


def open_coordinator(options: Mapping[str, Any]) -> Coordinator:
    """Return the server's work; the transport's process calls this."""
    return Coordinator(options)
