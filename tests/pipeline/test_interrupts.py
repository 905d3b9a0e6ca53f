"""Ctrl-C and SIGTERM: at once, at the end of what must not be torn, and as before afterwards."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

import pytest

from histofed.pipeline.interrupts import SIGNALS, Interrupts


@pytest.mark.parametrize("number", SIGNALS)
def test_work_ends_at_once(number) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        with Interrupts():
            signal.raise_signal(number)
            pytest.fail("not interrupted")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_what_must_not_be_torn_is_finished_first(number) -> None:
    steps = []

    def work() -> None:
        with Interrupts() as interrupts, interrupts.held():
            signal.raise_signal(number)
            steps.append("taken")
            try:
                with interrupts.let_in():
                    steps.append("work")
            finally:
                signal.raise_signal(number)
                steps.append("given back")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["taken", "given back"]


def test_an_interrupt_that_a_library_lost_is_obeyed_later() -> None:
    def work() -> None:
        with Interrupts() as interrupts:
            with suppress(KeyboardInterrupt):  # as in a callback
                signal.raise_signal(signal.SIGTERM)
            with interrupts.held():
                pass
            pytest.fail("forgotten")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_an_interrupt_that_a_library_took_for_an_error_is_still_one() -> None:
    """As when it comes while a compiled module is imported for the first time."""

    def work() -> None:
        with Interrupts():
            try:
                signal.raise_signal(signal.SIGTERM)
            except KeyboardInterrupt as interrupt:
                msg = "initialization failed"
                raise ImportError(msg) from interrupt

    with pytest.raises(KeyboardInterrupt):
        work()


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_work_without_handlers() -> None:
    seen = []

    def work() -> None:
        with Interrupts() as interrupts, interrupts.held():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
