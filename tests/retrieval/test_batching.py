"""Work done ahead: order, errors at their place, nothing left running, batches that halve."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.encoders.batching import Batching, in_background, ordered_map


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as made:
        yield made


class Items(list):
    def halves(self):
        middle = len(self) // 2
        return [Items(self[:middle]), Items(self[middle:])]


def never(_error):
    return False


def test_results_come_in_order_whichever_is_ready_first(pool):
    def slow_first(item):
        time.sleep(0.05 if item == 0 else 0)
        return item * 10

    assert list(ordered_map(pool, slow_first, range(6), ahead=4)) == [0, 10, 20, 30, 40, 50]


def test_no_more_items_are_drawn_than_may_be_ahead(pool):
    drawn = []

    def items():
        for item in range(100):
            drawn.append(item)
            yield item

    results = ordered_map(pool, str, items(), ahead=3)
    assert next(results) == "0"
    assert len(drawn) == 4
    results.close()


def test_an_error_is_raised_at_its_place(pool):
    def work(item):
        if item == 2:
            raise ValueError("two")
        return item

    results = in_background(ordered_map(pool, work, range(5), ahead=2), ahead=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_a_background_that_is_left_early_ends_its_thread_and_closes_its_source():
    closed = threading.Event()

    def source():
        try:
            yield from range(1000)
        finally:
            closed.set()

    before = threading.active_count()
    results = in_background(source(), ahead=2)
    assert next(results) == 0
    results.close()
    assert closed.wait(5)
    assert threading.active_count() == before


def test_the_source_works_on_while_the_reader_is_busy():
    drawn = threading.Semaphore(0)

    def source():
        for item in range(3):
            drawn.release()
            yield item

    results = in_background(source(), ahead=3)
    assert next(results) == 0
    assert all(drawn.acquire(timeout=5) for _ in range(3))  # all three, though one was asked for
    assert list(results) == [1, 2]


def test_a_batch_that_does_not_fit_is_halved_and_the_size_stays():
    sizes = []

    def work(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise MemoryError
        return [item + 1 for item in batch]

    released = []
    batching = Batching(8, lambda error: isinstance(error, MemoryError), lambda: released.append(1))
    groups = batching.group(range(11))
    assert [found for group in groups for found in batching.run(work, Items(group))] == list(range(1, 12))
    assert batching.size == 2
    assert sizes == [8, 4, 2, 2, 4, 2, 2, 2, 1]
    assert len(released) == 3


def test_one_item_that_does_not_fit_and_other_errors_are_raised():
    def too_large(_batch):
        raise MemoryError

    def broken(_batch):
        raise KeyError("x")

    with pytest.raises(MemoryError):
        list(Batching(1, lambda error: isinstance(error, MemoryError), lambda: None).run(too_large, Items([1])))
    with pytest.raises(KeyError):
        list(Batching(4, never, lambda: None).run(broken, Items([1, 2])))
