"""Readers' processes start a few at a time, and none is forgotten."""

from __future__ import annotations

import threading

from teleconsult.plugin_host._gate import StartGate


def test_so_many_enter_and_the_others_follow_in_order() -> None:
    gate, begun = StartGate(2), []

    def enter(number: int) -> None:
        gate.enter(lambda: begun.append(number) is None)

    for number in range(5):
        enter(number)
    assert begun == [0, 1]
    gate.leave()
    assert begun == [0, 1, 2]
    for _ in range(4):
        gate.leave()
    assert begun == [0, 1, 2, 3, 4]
    for number in (5, 6, 7):
        enter(number)
    assert begun[5:] == [5, 6], "both places are free again"


def test_who_no_longer_wants_its_place_gives_it_on() -> None:
    gate, begun = StartGate(1), []
    gate.enter(lambda: True)
    for _ in range(2000):
        gate.enter(lambda: False)
    gate.enter(lambda: begun.append("last") is None)
    gate.leave()
    assert begun == ["last"]
    gate.leave()
    gate.enter(lambda: False)
    gate.enter(lambda: begun.append("again") is None)
    assert begun == ["last", "again"]


def test_many_threads_never_take_more_places_than_there_are() -> None:
    gate, lock, all_done = StartGate(3), threading.Lock(), threading.Event()
    inside, most, done = 0, 0, 0

    def begin() -> bool:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Thread(target=end).start()
        return True

    def end() -> None:
        nonlocal inside, done
        with lock:
            inside -= 1
            done += 1
            if done == 200:
                all_done.set()
        gate.leave()

    for _ in range(200):
        gate.enter(begin)
    assert all_done.wait(20)
    assert most <= 3
