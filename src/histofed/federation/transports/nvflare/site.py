"""A hospital's end of the conversation, in the process that NVFlare starts for a job.

What the site says no to, the server is told in one line; a message that may speak of patients stays
in the hospital's own log.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLMetaKey
from nvflare.apis.shareable import Shareable

from histofed.errors import FederationError, HistofedError
from histofed.federation.transports.nvflare.alone import alone_in
from histofed.federation.transports.nvflare.diary import Diary
from histofed.federation.transports.nvflare.mailbox import Mailbox
from histofed.federation.transports.nvflare.places import Place
from histofed.federation.transports.nvflare.signing import Signer
from histofed.federation.transports.nvflare.talk import (
    ALIVE,
    EVALUATE,
    HANDSHAKE,
    KEEP,
    OVER,
    REFUSED,
    SUMS,
    TRAIN,
    opened,
    refusal,
    signed,
)
from histofed.federation.transports.nvflare.watch import end_with_parent
from histofed.federation.wire import decode_round, encode_update, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvflare.apis.fl_context import FLContext
    from nvflare.apis.signal import Signal

    from histofed.federation.messages import Round
    from histofed.federation.transports.nvflare.places import SiteWork

ALIVE_S = 2.0
FORMER_S = 120.0
"""How long the process of a former job may take to leave."""
FIT_S = 60.0
"""How long a fit may take to return after the final round."""


class Site(Executor):
    """Answers the tasks of `histofed.federation.transports.nvflare.rounds.Rounds`.

    Parameters
    ----------
    agreement
        Digest that the job serves; it is compared with what the hospital has agreed to.
    """

    def __init__(self, agreement: str = "") -> None:
        super().__init__()
        self.agreement = agreement

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Open the place when a job starts; end the training when it ends."""
        if event_type == EventType.START_RUN:
            workspace = fl_ctx.get_workspace()
            end_with_parent()
            ends_alone(Path(workspace.get_root_dir()) / str(fl_ctx.get_job_id()))
            self._name = str(fl_ctx.get_identity_name())
            self._signer = Signer.of_kit(Path(workspace.get_startup_kit_dir()))
            self._place = Place.read(Path(workspace.get_site_config_dir()))
            self._diary = Diary(Path(self._place.run))
            self._lock = alone_in(
                Path(self._place.run), wait_s=FORMER_S, remedy="name another run=..."
            )
            self._work: SiteWork | None = None
            self._mailbox: Mailbox | None = None
            self._over = Event()
            Thread(target=self._stay_alive, args=(fl_ctx.get_engine(),), daemon=True).start()
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self._over.set()
        elif event_type in (EventType.ABORT_TASK, EventType.END_RUN):
            self._end_training()

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """Answer a task."""
        try:
            message = opened(shareable)
            self._work = self._work or self._opened()
            answer = self._answer(self._work, task_name, message, lambda: abort_signal.triggered)
        except FederationError as error:
            # These speak of the federation: rounds, tensors, agreement.
            cause = f": {error.__cause__}" if error.__cause__ else ""
            self._refuse(task_name, f"{error}{cause}")
            return refusal(str(error))
        except HistofedError as error:
            # These may name patients and slides.
            self._refuse(task_name, str(error))
            return refusal(f"{type(error).__name__}; the reason is in the hospital's own log")
        return signed(answer, self._signer)

    def _refuse(self, task_name: str, why: str) -> None:
        """Write down this hospital's no; who says it to the handshake takes no part."""
        self._diary.say(f"refused: {why}")
        if task_name == HANDSHAKE:
            self._diary.close({"refused": why})

    def _opened(self) -> SiteWork:
        work: SiteWork = self._place.open()
        if work.agreement != self.agreement:
            msg = (
                f"the job serves agreement {self.agreement[:12] or 'none'}, this hospital has "
                f"agreed to {work.agreement[:12]}; put the same plan.yaml into the kits"
            )
            raise FederationError(msg)
        return work

    def _answer(
        self, work: SiteWork, task_name: str, message: bytes, stop: Callable[[], bool]
    ) -> bytes:
        if task_name == TRAIN:
            return self._train(work, decode_round(message), stop)
        fields, groups = unpack(message, task_name)
        answer: dict[str, Any] = {"run": fields.get("run"), "part": fields.get("part")}
        if task_name == HANDSHAKE:
            message = pack(HANDSHAKE, {**answer, "facts": work.facts()})
            self._diary.say(
                f"connected; sent {len(message)} bytes: the facts that all hospitals must share"
            )
            return message
        if task_name == SUMS:
            part = str(fields.get("part"))
            message = pack(SUMS, answer, {"sums": work.sums(part)})
            self._diary.say(f"{part}: sent {len(message)} bytes: sums over all training patients")
            return message
        if task_name == EVALUATE:
            return self._evaluate(work, answer, fields.get("question"))
        if task_name == KEEP:
            if self._mailbox is not None and not self._mailbox.join(FIT_S):
                self._end_training()
            work.keep(str(fields.get("part")), groups.get("state", {}))
            self._diary.say(f"{fields.get('part')}: the model is kept")
        elif task_name == REFUSED:
            self._diary.say("the server has refused this hospital")
            self._diary.close({"refused": str(fields.get("reason"))})
        elif task_name == OVER:
            self._diary.close({"over": True})
        else:
            msg = f"task {task_name!r} is not known here"
            raise FederationError(msg)
        return pack(task_name, answer)

    def _train(self, work: SiteWork, current: Round, stop: Callable[[], bool]) -> bytes:
        started = time.monotonic()
        mailbox = self._mailbox_for(work, current)
        try:
            update = mailbox.answer(current, stop=stop)
        except FederationError:
            self._end_training()  # the next round starts anew
            raise
        half = work.update_dtype == "float16"
        message = encode_update(update, base=current.state if half else None)
        done = "evaluated" if current.final else f"trained on {update.n_patients} patients"
        which = "final" if current.final else f"{current.number}/{current.total}"
        self._diary.say(
            f"{mailbox.name}  round {which}  {done} in "
            f"{time.monotonic() - started:.1f} s, sent {len(message)} bytes: "
            f"{len(update.state)} tensors and the means {', '.join(sorted(update.metrics))}"
        )
        return message

    def _evaluate(self, work: SiteWork, answer: dict[str, Any], question: Any) -> bytes:
        if not isinstance(question, dict):
            msg = f"message {EVALUATE!r}: question must be an object"
            raise FederationError(msg)
        message = pack(EVALUATE, {**answer, "answer": work.evaluate(question)})
        self._diary.say(f"asked for {question.get('of')}, sent {len(message)} bytes")
        return message

    def _mailbox_for(self, work: SiteWork, current: Round) -> Mailbox:
        """Return the thread that trains the part of this round; start one where there is none."""
        part = current.run.rpartition("/")[2]
        if self._mailbox is None or self._mailbox.name != part:
            self._end_training()
            self._mailbox = Mailbox(part, lambda exchange: work.train(part, exchange))
        return self._mailbox

    def _stay_alive(self, engine: Any) -> None:
        """Tell the server all the time that this process is there: a round may take hours."""
        while not self._over.wait(ALIVE_S):
            with engine.new_context() as fl_ctx:
                engine.send_aux_request(
                    targets=["server"], topic=ALIVE, request=Shareable(), timeout=0.0,
                    fl_ctx=fl_ctx, optional=True,
                )  # fmt: skip

    def _end_training(self) -> None:
        if getattr(self, "_mailbox", None) is not None:
            assert self._mailbox is not None
            self._mailbox.end()
            self._mailbox = None


def ends_alone(folder: Path) -> None:
    """Let the end of this process, however it comes, end no other hospital's.

    NVFlare aborts the job everywhere when the process of one hospital exits with an error. Its
    client reads the code from this file, where there is one; the server sees by itself who is gone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FLMetaKey.PROCESS_RC_FILE).write_text("0\n", encoding="utf-8")
