"""The server's end of the conversation, in the process that NVFlare starts for a job.

A job may end before the run does: when a hospital is back whose process was killed, the run pauses
between two rounds, and the next job takes every hospital that is there along. So a job is one
gathering, and the run is what the journal says.
"""

from __future__ import annotations

import time
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvflare.apis.controller_spec import Task
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import make_reply

from histofed.errors import FederationError, HistofedError, UpdateRefused
from histofed.federation.agreement import Disagreement
from histofed.federation.transports.nvflare.answers import Answers
from histofed.federation.transports.nvflare.diary import Diary, round_line, sums_line
from histofed.federation.transports.nvflare.members import CRASHES, Members
from histofed.federation.transports.nvflare.places import Place
from histofed.federation.transports.nvflare.talk import (
    ALIVE,
    EVALUATE,
    HANDSHAKE,
    KEEP,
    OVER,
    REFUSED,
    SUMS,
    TRAIN,
    envelope,
    opened_from,
)
from histofed.federation.transports.nvflare.waiting import Reminder
from histofed.federation.transports.nvflare.watch import end_with_parent
from histofed.federation.wire import decode_update, encode_round, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nvflare.apis.client import Client
    from nvflare.apis.controller_spec import ClientTask
    from nvflare.apis.fl_context import FLContext
    from nvflare.apis.shareable import Shareable
    from nvflare.apis.signal import Signal

    from histofed.federation.history import RoundRecord
    from histofed.federation.messages import SiteUpdate
    from histofed.federation.server import Server
    from histofed.federation.transports.nvflare.places import ServerWork, Sums
    from histofed.federation.wire import Groups

CHECK_S = 0.1
TELL_S = 30.0
"""What a site may take to hear that it takes no part."""


class Regroup(Exception):
    """A hospital is back; its name."""


class Rounds(Controller):
    """Asks the sites of a job, round after round, until the run is over.

    Parameters
    ----------
    agreement
        Digest that the job serves; it must be that of the server's own plan.
    """

    def __init__(self, agreement: str = "") -> None:
        super().__init__(task_check_period=CHECK_S)
        self.agreement = agreement

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Open the place."""
        end_with_parent()
        workspace = fl_ctx.get_workspace()
        self._place = Place.read(Path(workspace.get_site_config_dir()))
        self._authority = (Path(workspace.get_startup_kit_dir()) / "rootCA.pem").read_bytes()
        self._diary = Diary(Path(self._place.run))
        self._members = Members(Path(self._place.run))
        self._engine.register_aux_message_handler(ALIVE, self._hear)

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Nothing is held open."""

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Do what is left of the run, and say how it ended."""
        self._abort, self._fl_ctx = abort_signal, fl_ctx
        try:
            outcome = self._serve()
        except Regroup as pause:
            self._diary.say(f"{pause} is back; all gather again")
            outcome = {"regroup": str(pause)}
        except HistofedError as error:
            self._diary.say(f"stopped: {error}")
            outcome = {"error": str(error)}
        self._diary.close(outcome)

    def process_result_of_unknown_task(
        self,
        client: Client,
        task_name: str,
        client_task_id: str,
        result: Shareable,
        fl_ctx: FLContext,
    ) -> None:
        """Count a late answer for nothing."""
        self._diary.say(f"site {client.name}: its answer came late and counts for nothing")

    def _serve(self) -> dict[str, Any]:
        work: ServerWork = self._place.open()
        if work.agreement != self.agreement:
            msg = (
                f"the job serves agreement {self.agreement[:12] or 'none'}, the server's plan is "
                f"{work.agreement[:12]}; start the run with its own folder"
            )
            raise FederationError(msg)
        self._work = work
        self._sites = self._shake_hands(
            self._members.gather(client.name for client in self._engine.get_clients())
        )
        for part in work.parts:
            server = work.resume(part) or self._start(part)
            while not server.over:
                self._stop_for_returned()
                self._diary.say(round_line(part, self._round(server)))
            result = server.result()
            work.close(part, result)
            about = {"run": work.run, "part": part}
            self._tell(KEEP, pack(KEEP, about, {"state": result.best_state}))
        self._evaluate()
        self._tell(OVER, pack(OVER, {"run": work.run, "part": ""}))
        return {"over": True}

    def _start(self, part: str) -> Server:
        sums = self._sums(part)
        server = self._work.start(part, sums)
        self._diary.say(sums_line(part, sums, self._work.sites))
        return server

    def _shake_hands(self, members: list[str]) -> list[str]:
        """Return the sites that agree."""
        work = self._work
        found = self._ask(HANDSHAKE, pack(HANDSHAKE, {"run": work.run, "part": ""}), members)
        told = self._read(found, HANDSHAKE, "")
        facts = {site: fields.get("facts") for site, (fields, _) in told.items()}
        found.check_quorum(facts, work.quorum, work.sites, when="handshake")
        self._say_all(found.refused)
        try:
            work.check(facts)
        except Disagreement as error:
            self._refuse(error.reasons)
            raise
        self._diary.say(f"agreed: {', '.join(sorted(facts))}")
        return sorted(facts)

    def _refuse(self, reasons: Mapping[str, str]) -> None:
        """Tell each site why it takes no part, and no site of another."""
        for site, reason in reasons.items():
            message = pack(REFUSED, {"run": self._work.run, "part": "", "reason": reason})
            self._say_all(self._ask(REFUSED, message, [site], within_s=TELL_S).refused)

    def _sums(self, part: str) -> dict[str, Sums]:
        question = pack(SUMS, {"run": self._work.run, "part": part})
        found = self._ask(SUMS, question, self._sites)
        told = self._read(found, SUMS, part)
        sums = {site: groups.get("sums", {}) for site, (_, groups) in told.items()}
        for site, fault in self._work.faults_in(sums).items():
            found.refused[site] = UpdateRefused(f"site {site}, {part}: sums refused: {fault}")
            del sums[site]
        found.check_quorum(sums, self._work.quorum, self._work.sites, when=f"{part}, sums")
        self._say_all(found.refused)
        return sums

    def _round(self, server: Server) -> RoundRecord:
        current = server.round
        found = self._ask(TRAIN, encode_round(current), self._sites)
        self._members.answered(found.messages)
        answers: dict[str, SiteUpdate | FederationError] = dict(found.refused)
        for site, message in found.messages.items():
            try:
                answers[site] = decode_update(message, base=current.state)
            except FederationError as error:
                answers[site] = UpdateRefused(f"site {site}, round {current.number}: {error}")
        return server.close(answers)

    def _evaluate(self) -> None:
        """Ask about the finished models; they are there whatever comes of it."""
        try:
            self._work.evaluate(self._put)
        except HistofedError as error:
            self._diary.say(f"metrics: {error}")

    def _put(self, question: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Put a question to every site."""
        message = pack(EVALUATE, {"run": self._work.run, "part": "", "question": question})
        found = self._ask(EVALUATE, message, self._sites)
        told = self._read(found, EVALUATE, "")
        self._say_all(found.refused)
        answers = {site: fields.get("answer") for site, (fields, _) in told.items()}
        return answers, {site: str(why) for site, why in found.refused.items()}

    def _tell(self, task: str, message: bytes) -> None:
        """Say something that a site that misses it will hear in the next job, or can do without."""
        self._say_all(self._ask(task, message, self._sites).refused)

    def _say_all(self, refused: Mapping[str, FederationError]) -> None:
        for site in sorted(refused):
            self._diary.say(str(refused[site]))

    def _ask(
        self, task_name: str, message: bytes, sites: list[str], *, within_s: float = inf
    ) -> Answers:
        """Ask some sites and wait, but never longer than the patience allows."""
        found = Answers({}, {})

        def keep(client_task: ClientTask, fl_ctx: FLContext) -> None:
            site = client_task.client.name
            try:
                found.messages[site] = opened_from(
                    client_task.result, site=site, authority=self._authority
                )
            except FederationError as error:
                found.refused[site] = error
            # Bytes are held once, here.
            client_task.result = None

        task = Task(
            name=task_name,
            data=envelope(message),
            timeout=int(self._work.patience.deadline_s) + 60,
            result_received_cb=keep,
        )
        self.broadcast(task, self._fl_ctx, targets=list(sites), min_responses=len(sites))
        self._wait(found, sites, deadline_s=min(self._work.patience.deadline_s, within_s))
        self.cancel_task(task, fl_ctx=self._fl_ctx)
        for site in set(sites) - found.messages.keys() - found.refused.keys():
            late = f"site {site}: no answer to {task_name!r} in time"
            found.refused[site] = FederationError(late)
        return found

    def _wait(self, found: Answers, sites: list[str], *, deadline_s: float) -> None:
        patience, started = self._work.patience, time.monotonic()
        enough_at: float | None = None
        reminder = Reminder(self._diary.say)
        while True:
            if self._abort.triggered:
                msg = "the job was aborted from outside; what was committed is kept"
                raise FederationError(msg)
            now = time.monotonic()
            awaited = set(sites) - found.messages.keys() - found.refused.keys()
            if len(found.messages) >= self._work.quorum:
                enough_at = enough_at or now
                # Whoever is gone is not waited for.
                awaited -= self._members.left()
            elif awaited & self._members.left():
                # Without those who are gone it may never be enough: do not let them wait.
                self._stop_for_returned()
            until = started + deadline_s
            until = min(until, enough_at + patience.grace_s) if enough_at else until
            if not awaited or now > until:
                return
            reminder.remind(f"waits for {', '.join(sorted(awaited))}, {until - now:.0f} s at most")
            time.sleep(CHECK_S)

    def _hear(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
        """Note that a site's process is there."""
        self._members.hear(str(fl_ctx.get_peer_context().get_identity_name()))
        return make_reply(ReturnCode.OK)

    def _stop_for_returned(self) -> None:
        """Pause the run if a hospital is back whose process had gone."""
        if returned := self._members.returned():
            for site in self._members.pause_for(returned):
                self._diary.say(
                    f"site {site}: the run has paused for it {CRASHES} times in a row and had no "
                    "answer; it goes on without it, and tries again in an hour"
                )
            raise Regroup(", ".join(returned))

    def _read(
        self, found: Answers, kind: str, part: str
    ) -> dict[str, tuple[dict[str, Any], Groups]]:
        """Return what each message says; one that cannot be read is that site's refusal alone."""
        told = {}
        for site, message in found.messages.items():
            try:
                told[site] = self._unpacked(message, kind, part)
            except FederationError as error:
                found.refused[site] = UpdateRefused(f"site {site}: {error}")
        return told

    def _unpacked(self, message: bytes, kind: str, part: str) -> tuple[dict[str, Any], Groups]:
        fields, groups = unpack(message, kind)
        if (fields.get("run"), fields.get("part")) != (self._work.run, part):
            msg = (
                f"an answer to {kind!r} is of run {fields.get('run')!r}, part "
                f"{fields.get('part')!r}; expected {self._work.run!r}, {part!r}"
            )
            raise FederationError(msg)
        return fields, groups
