from __future__ import annotations

import threading

import pytest
import torch

from histofed.errors import CohortError, FederationError
from histofed.federation.messages import Round
from histofed.federation.transports.nvflare.mailbox import Mailbox


def a_round(number: int) -> Round:
    return Round(number=number, total=2, state={"w": torch.full((1,), float(number))}, run="r/f")


def go_on() -> bool:
    return False


def echo(exchange) -> None:
    while True:
        current = exchange.pull()
        state = {} if current.final else current.state
        exchange.push(current.answer("north", state, n_patients=3))
        if current.final:
            return


def test_one_thread_answers_all_rounds():
    threads = []

    def body(exchange) -> None:
        threads.append(threading.current_thread())
        echo(exchange)

    mailbox = Mailbox("fold-0", body)
    for number in (1, 2, 3):
        update = mailbox.answer(a_round(number), stop=go_on)
        assert (update.round, update.n_patients) == (number, 3)
    assert mailbox.join(10)
    assert len(threads) == 1


def test_the_answer_to_a_round_that_was_given_up_is_not_taken_for_another():
    def hasty(exchange) -> None:
        first = exchange.pull()
        second = exchange.pull()
        exchange.push(first.answer("north", first.state, n_patients=1))
        exchange.push(second.answer("north", second.state, n_patients=2))

    mailbox = Mailbox("fold-0", hasty)
    mailbox._rounds.put(a_round(1))
    assert mailbox.answer(a_round(2), stop=go_on).n_patients == 2


def test_what_fails_in_training_is_told_by_class_and_kept_as_cause():
    def broken(exchange) -> None:
        exchange.pull()
        msg = "patient p17 has no label"
        raise CohortError(msg)

    mailbox = Mailbox("fold-0", broken)
    with pytest.raises(FederationError, match=r"training failed \(CohortError\)$") as info:
        mailbox.answer(a_round(1), stop=go_on)
    assert "p17" not in str(info.value)
    assert "p17" in str(info.value.__cause__)
    assert not mailbox.join(10)


def test_a_body_that_returns_without_an_answer_holds_nobody_up():
    mailbox = Mailbox("fold-0", lambda exchange: None)
    with pytest.raises(FederationError, match="ended without an answer to this round"):
        mailbox.answer(a_round(1), stop=go_on)


def test_a_stopped_wait_ends_the_body_at_its_next_step():
    told, may_push = [], threading.Event()

    def slow(exchange) -> None:
        current = exchange.pull()
        may_push.wait(10)
        try:
            exchange.push(current.answer("north", current.state, n_patients=1))
        except FederationError as error:
            told.append(str(error))

    mailbox = Mailbox("fold-0", slow)
    with pytest.raises(FederationError, match="the run was ended"):
        mailbox.answer(a_round(1), stop=lambda: True)
    may_push.set()
    assert mailbox.join(10)
    assert told == ["fold-0: the run was ended"]


def test_a_body_that_waits_for_a_round_is_ended():
    told = []

    def waiting(exchange) -> None:
        try:
            exchange.pull()
        except FederationError as error:
            told.append(str(error))

    mailbox = Mailbox("fold-0", waiting)
    mailbox.end()
    assert mailbox.join(10)
    assert told == ["fold-0: the run was ended"]
