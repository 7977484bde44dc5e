"""Who is taken for dead, and who is not, with time turned by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.service.reaper import Reaper
from node.state import schema
from node.state.heartbeats import beat
from tests.makers.ledger import Books, books

LIMIT_S = 60.0


class Watch:
    """Books with processes that give signs of life when a test says so, and the reaper that looks at them."""

    def __init__(self, found: Books) -> None:
        self.books = found
        self.reaped: list[str] = []
        self.reaper = self.new_reaper()

    def new_reaper(self) -> Reaper:
        def recover(executor: str) -> int:
            self.reaped.append(executor)
            return 1

        clock = self.books.clock
        return Reaper(self.books.ledger, recover, dead_after_s=LIMIT_S, clock=clock, monotonic_s=clock.steady)

    def beat(self, *executors: str) -> None:
        with self.books.ledger.write() as connection:
            for executor in executors:
                beat(connection, executor, self.books.clock())

    def pass_time(self, seconds: float, *alive: str) -> None:
        """Time passes in the reaper's steps, while some give signs of life."""
        for _ in range(round(seconds / self.reaper.every_s)):
            self.books.clock.forward(seconds=self.reaper.every_s)
            self.beat(*alive)
            self.reaper.look()


@pytest.fixture
def watch(tmp_path: Path, database_url: str) -> Iterator[Watch]:
    with books(tmp_path, database_url) as found:
        yield Watch(found)


def test_a_silent_process_is_reaped_after_the_limit_and_within_two(watch: Watch) -> None:
    watch.beat("a", "b")
    watch.pass_time(LIMIT_S, "b")
    early = list(watch.reaped)
    watch.pass_time(LIMIT_S, "b")

    assert early == []
    assert watch.reaped == ["a"]


def test_it_is_reaped_once_for_each_time_that_it_falls_silent(watch: Watch) -> None:
    watch.beat("a")
    watch.pass_time(10 * LIMIT_S)
    watch.pass_time(LIMIT_S, "a")
    watch.pass_time(2 * LIMIT_S)

    assert watch.reaped == ["a", "a"]


def test_another_reaper_does_not_do_it_again(watch: Watch) -> None:
    """The service process was started again."""
    watch.beat("a")
    watch.pass_time(2 * LIMIT_S)
    watch.reaper = watch.new_reaper()
    watch.pass_time(3 * LIMIT_S)

    assert watch.reaped == ["a"]


def test_nobody_is_reaped_because_the_whole_machine_stood_still(watch: Watch) -> None:
    watch.beat("a")
    watch.reaper.look()
    watch.books.clock.forward(hours=5)
    watch.reaper.look()
    watch.pass_time(LIMIT_S, "a")

    assert watch.reaped == []


def test_a_clock_that_is_set_by_an_hour_reaps_nobody_and_spares_nobody(watch: Watch) -> None:
    watch.beat("a", "b")
    watch.pass_time(30, "b")
    watch.books.clock.set_by(hours=1)
    watch.pass_time(20, "b")
    early = list(watch.reaped)
    watch.books.clock.set_by(hours=-2)
    watch.pass_time(LIMIT_S, "b")

    assert early == []
    assert watch.reaped == ["a"]


def test_the_operator_reads_who_died_and_how_much_was_put_back(watch: Watch) -> None:
    watch.beat("host-worker-0")
    watch.pass_time(2 * LIMIT_S)
    with watch.books.ledger.read() as connection:
        (told,) = connection.execute(schema.event.select().where(schema.event.c.name == "process-taken-for-dead"))

    assert told.message == "host-worker-0 gave no sign of life for 60 s; 1 put back"
