"""Models stay open while memory lasts; the one used longest ago makes room, never one that is in use."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ai.contract import ModelCard, Predict
from ai.device import Device
from ai.errors import OutOfMemory
from ai.findings import Findings
from ai.memory import begin_peak, free_mb, peak_mb, used_mb
from ai.models.lung_ct import MODEL
from ai.warm import WarmModels

CPU = Device()


class Sized:
    """A model that takes memory while it is open, of a machine that has 100 MB."""

    taken_mb = 0

    def __init__(self, name: str, memory_mb: int) -> None:
        self.card: ModelCard = replace(MODEL.card, name=name, memory_mb=memory_mb)

    @contextmanager
    def open(self, _device: Device) -> Iterator[Predict]:
        Sized.taken_mb += self.card.memory_mb
        yield lambda _inputs: Findings()
        Sized.taken_mb -= self.card.memory_mb


@pytest.fixture
def warm() -> Iterator[WarmModels]:
    Sized.taken_mb = 0
    models = {name: Sized(name, size) for name, size in (("a", 40), ("b", 50), ("c", 60), ("large", 120))}
    found = WarmModels(models, CPU, lambda _device: 100 - Sized.taken_mb)
    yield found
    found.close()
    assert Sized.taken_mb == 0


def use(warm: WarmModels, name: str) -> None:
    with warm.held(name):
        pass


def test_models_stay_open_while_memory_lasts(warm: WarmModels) -> None:
    use(warm, "a")
    use(warm, "b")

    assert warm.names == ["a", "b"]


def test_the_one_used_longest_ago_makes_room(warm: WarmModels) -> None:
    for name in ("a", "b", "a", "c"):
        use(warm, name)

    assert warm.names == ["a", "c"]


def test_a_model_in_use_is_never_closed(warm: WarmModels) -> None:
    opened = threading.Event()
    with warm.held("c"):
        other = threading.Thread(target=lambda: (use(warm, "b"), opened.set()))
        other.start()
        assert not opened.wait(0.2)
        assert warm.names == ["c"]
    other.join()

    assert warm.names == ["b"]


def test_what_does_not_fit_at_all_is_refused(warm: WarmModels) -> None:
    use(warm, "a")

    with pytest.raises(OutOfMemory, match="large needs 120 MB, and 100 MB are free"):
        use(warm, "large")


def test_a_model_that_was_opened_while_another_waited_for_room_is_not_opened_again(warm: WarmModels) -> None:
    """Two wait for the room of the same one: what the second would open again, nobody would ever close."""
    with ThreadPoolExecutor(2) as threads:
        waits = threading.Semaphore(0)

        @contextmanager
        def waiting() -> Iterator[None]:
            waits.release()
            yield

        def held() -> int:
            with warm.held("c", waiting):
                both.wait(timeout=20)
                return Sized.taken_mb

        both = threading.Barrier(2)
        with warm.held("b"):
            found = [threads.submit(held) for _ in range(2)]
            for _ in range(4):  # for the list of models, and for the room
                assert waits.acquire(timeout=20)
        assert [one.result(timeout=30) for one in found] == [60, 60]


def test_what_was_measured_counts_from_then_on() -> None:
    warm = WarmModels({"a": Sized("a", 1)}, CPU)
    with warm.held("a"), warm.measured("a"):
        assert np.ones(200 << 17).sum() > 0  # 200 MB
    warm.close()

    assert 190 <= warm.needs_mb("a") < 400


def test_where_the_system_does_not_tell_what_is_declared_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai.memory.CLEAR_REFS", tmp_path / "proc" / "clear_refs")
    warm = WarmModels({"a": Sized("a", 1)}, CPU)

    with warm.held("a"), warm.measured("a"):
        pass
    warm.close()

    assert warm.needs_mb("a") == 1


def test_memory_is_counted() -> None:
    begin_peak(CPU)
    before = used_mb(CPU)
    taken = np.ones(100 << 17)
    del taken

    assert peak_mb(CPU) - before >= 95
    assert 0 < free_mb(CPU) < 1 << 30


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("max", str(300 << 20)), ("current", str(250 << 20)), ("stat", f"inactive_file {50 << 20}")):
        (tmp_path / f"memory.{name}").write_text(f"{content}\n")
    monkeypatch.setattr("ai.memory.CGROUP", tmp_path)

    assert free_mb(CPU) == 100
