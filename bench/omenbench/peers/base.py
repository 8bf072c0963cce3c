"""What every peer can be asked, and what all measurements of one have in common."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import DataSet


class PeerError(Exception):
    """A peer that cannot go on, with its words for why; the others are measured further."""


class MissingPeer(Exception):
    """A peer that cannot be measured here: not installed, or not made for the data."""


@dataclass(frozen=True)
class Settings:
    """What the command line says about all peers alike."""

    k: int
    ladder: tuple[int, ...]         # ef_search, one point of the curve each
    clients: tuple[int, ...]        # concurrent clients, each measured at every point
    seconds: float                  # at each point and number of clients
    rounds: int                     # of which the best counts
    m: int
    ef_construction: int
    processes: int                  # that build: a leader and its workers, or threads
    memory: str                     # maintenance_work_mem


@dataclass
class Task:
    """The data, of which the first n_built rows are there when the index is built."""

    data: DataSet
    n_built: int
    n_rows: int

    @property
    def dims(self) -> int:
        return self.data.base.shape[1]


class Peer(ABC):
    """One peer on one data set.  Results are plain dictionaries, ready for JSON."""

    parts: frozenset[str] = frozenset({"build", "search"})

    def __init__(self, name: str, task: Task, settings: Settings):
        self.name = name
        self.task = task
        self.settings = settings
        self.ladder = settings.ladder
        self.alive = np.arange(task.n_rows) < task.n_built     # rows that are in the table
        self.results: dict[str, Any] = {}

    def say(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def recall(self, found: list[np.ndarray]) -> float:
        answers = self.task.data.answers(self.settings.k, self.alive)
        return self.task.data.recall(found, answers)

    def search_step(self, step: int) -> None:
        """The point of the curve that is a step of the ladder, if it has so many."""
        if step < len(self.ladder):
            self.search(self.ladder[step], "search")

    def search(self, ef: int | None, curve: str) -> None:
        """Add one point to a curve; ef None is what the peer does by itself."""
        point = {"ef_search": "default" if ef is None else ef, **self.measure_search(ef)}
        self.results.setdefault(curve, []).append(point)
        speeds = ", ".join(f"{tps:,.0f}/s with {clients}" for clients, tps in point["tps"].items())
        self.say(f"ef {point['ef_search']}: recall {point['recall']:.4f}, {speeds}")

    def note_build(self, seconds: float, index_bytes: int, memory_bytes: int | None, **more: Any) -> None:
        rows = self.task.n_built
        self.results["build"] = {
            "rows": rows, "processes": self.settings.processes,
            "seconds": seconds, "vectors_per_second": rows / seconds,
            "index_bytes": index_bytes, "bytes_per_vector": index_bytes / rows,
            "memory_bytes": memory_bytes,
            "memory_bytes_per_vector": None if memory_bytes is None else memory_bytes / rows, **more}
        self.say(f"build: {seconds:.2f} s, {rows / seconds:,.0f} vectors/s, {index_bytes / rows:.0f} B/vector"
                 + ("" if memory_bytes is None else f", peak memory {memory_bytes / rows:,.0f} B/vector"))

    @abstractmethod
    def prepare(self) -> None:
        """Bring the data to where the peer wants them.  Not timed."""

    @abstractmethod
    def build(self) -> None:
        """Build the index, with note_build()."""

    @abstractmethod
    def measure_search(self, ef: int | None) -> dict[str, Any]:
        """recall, tps (a dictionary by number of clients), and what the peer knows besides."""

    def prepare_search(self) -> None:
        """Warm the caches.  Not timed."""

    def insert(self) -> None:
        raise NotImplementedError

    def vacuum(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Leave nothing behind.  Called once, also after an error."""
