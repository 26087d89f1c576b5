"""Flags that signals set."""

from __future__ import annotations

import os
import signal
import threading
import time

from k0sruntime.flag import Flag


def test_a_signal_sets_it_while_somebody_waits() -> None:
    flag = Flag()
    before = signal.signal(signal.SIGUSR2, lambda *_: flag.set())
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2))
    timer.start()
    try:
        began = time.monotonic()
        assert flag.wait(30.0)
        assert time.monotonic() - began < 20.0
    finally:
        timer.join()
        signal.signal(signal.SIGUSR2, before)


def test_a_storm_of_signals_finds_no_lock_to_wait_for() -> None:
    """A thousand handlers that run in the midst of a wait: none waits for itself."""
    flag, came = Flag(), []
    before = signal.signal(signal.SIGUSR2, lambda *_: (came.append(1), flag.set()))
    try:
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGUSR2)
            assert flag.wait(0.001)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert came


def test_a_wait_ends_without_it() -> None:
    assert not Flag().wait(0.01)
