import threading
import time

import numpy as np
import pytest

from edgekd.data.threads import Room, in_turn


def test_batches_come_in_order_whichever_thread_is_ready_first() -> None:
    def slow_first(index: int) -> int:
        time.sleep(0.002 * (index % 3 == 0))
        return 10 * index

    batches = [np.array([3, 1, 2]), np.array([0]), np.array([], np.int64), np.array([5, 4])]
    assert list(in_turn(slow_first, batches)) == [[30, 10, 20], [0], [], [50, 40]]


def test_the_next_batch_is_worked_on_while_the_first_is_used() -> None:
    done = threading.Semaphore(0)

    def work(index: int) -> int:
        done.release()
        return index

    batches = in_turn(work, [np.arange(100), np.arange(100), np.arange(100)])
    next(batches)
    assert all(done.acquire(timeout=10) for _ in range(200)), "the second batch waits to be asked for"
    assert not done.acquire(timeout=0.05), "the third one is begun before the second was asked for"
    batches.close()


def test_what_a_thread_raises_is_raised_and_ends_them_all() -> None:
    def fails(index: int) -> int:
        if index == 7:
            raise KeyError("seven")
        return index

    before = threading.active_count()
    with pytest.raises(KeyError, match="seven"):
        list(in_turn(fails, [np.arange(5), np.arange(5, 100), np.arange(100, 1000)]))
    assert threading.active_count() == before


def test_threads_end_with_the_last_batch_that_is_requested() -> None:
    before = threading.active_count()
    batches = in_turn(lambda index: index, [np.arange(5)] * 1000)
    assert next(batches) == [0, 1, 2, 3, 4]
    del batches
    assert threading.active_count() == before


def test_room_is_never_overtaken_and_lets_in_alone_what_is_larger() -> None:
    room, lock, now, most = Room(10), threading.Lock(), [], [0]

    def work(index: int) -> None:
        size = (4, 3, 20)[index % 3]
        with room.taken(size):
            with lock:
                now.append(size)
                most[0] = max(most[0], sum(now) if sum(now) != 20 or len(now) > 1 else 0)
            time.sleep(0.001)
            with lock:
                now.remove(size)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert most[0] <= 10
