"""Waiting: longer each time, as long as the portal asks for, and not for ever."""

from __future__ import annotations

import math
import threading
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.errors import PortalSilent
from histofed.io.gdc.patience import Patience, Retries, Stopped, Trouble, asked_wait_s


@given(
    n_failed=st.integers(1, 10_000),
    first_s=st.floats(0.001, 10),
    longest_s=st.floats(10, 1000),
    asked_s=st.floats(0, 1000),
)
def test_waits_double_up_to_the_longest(n_failed, first_s, longest_s, asked_s):
    patience = Patience(first_s=first_s, longest_s=longest_s)
    full_s = min(longest_s, first_s * 2.0 ** min(n_failed - 1, 30))
    assert full_s / 2 <= patience.wait_s(n_failed, 0.0) <= full_s
    assert max(asked_s, full_s / 2) <= patience.wait_s(n_failed, asked_s) <= max(asked_s, full_s)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [(None, 0), ("", 0), ("7", 7), (" 120 ", 120), ("soon", 0), ("-5", 0), ("٣", 0), ("1.5", 0)],
)
def test_retry_after_in_seconds(header, wait_s):
    assert asked_wait_s(header) == wait_s


def test_retry_after_as_a_date():
    soon = formatdate(time.time() + 100, usegmt=True)
    assert 97 < asked_wait_s(soon) <= 100
    assert asked_wait_s("Fri, 31 Dec 1999 23:59:59 GMT") == 0


@given(st.text())
def test_retry_after_is_never_an_error(header):
    assert 0 <= asked_wait_s(header) < math.inf


def test_given_up_after_enough_failures_in_a_row():
    retries = Retries(Patience(attempts=3, first_s=0.0), threading.Event())
    for _ in range(3):  # two failures, then success, again and again
        retries.wait(Trouble("it broke"))
        retries.wait(Trouble("it broke"))
        retries.reset()
    retries.wait(Trouble("it broke"))
    retries.wait(Trouble("it broke"))
    with pytest.raises(PortalSilent, match="it broke; given up after 3 attempts"):
        retries.wait(Trouble("it broke"))


def test_too_long_a_wait_is_not_waited_for():
    retries = Retries(Patience(), threading.Event())
    with pytest.raises(PortalSilent, match="3600 s"):
        retries.wait(Trouble("busy", asked_s=3600))


def test_a_wait_ends_when_the_work_is_to_stop():
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    began_s = time.monotonic()
    with pytest.raises(Stopped):
        Retries(Patience(first_s=30), stop).wait(Trouble("it broke"))
    assert time.monotonic() - began_s < 5
