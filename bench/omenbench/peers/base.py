"""What every peer can be asked, and what all measurements of one have in common."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import DataSet
from ..filters import Filters, Workload


class PeerError(Exception):
    """A peer that cannot go on, with its words for why; the others are measured further."""


class MissingPeer(Exception):
    """A peer that cannot be measured here: not installed, or not made for the data."""


@dataclass(frozen=True)
class FilterSettings:
    """What the command line says about filtered search."""

    ladder: tuple[int, ...] = (20, 40, 80, 160, 320, 640)
    seconds: float = 1              # of each speed, or as long as all queries take once
    target: float = 0.97            # the recall that the point timed has to reach
    patience: float = 20            # seconds after which no more queries are asked at a point, and the ladder ends
    ways: tuple[str, ...] = ()      # of those that each peer has; empty: all


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
    filter: FilterSettings = FilterSettings()


@dataclass
class Task:
    """The data, of which the first n_built rows are there when the index is built."""

    data: DataSet
    n_built: int
    n_rows: int
    filters: Filters | None = None

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

    # --- filtered search ---

    def prepare_filter(self) -> None:
        """Bring the attributes to where the peer wants them, and index them; note that in results["filter"]."""
        raise NotImplementedError

    def filter_ways(self) -> dict[str, tuple[int | None, ...]]:
        """The ways that the peer can answer filtered queries, each with its ladder; None: its default."""
        raise NotImplementedError

    def found_filtered(self, workload: Workload, way: str, ef: int | None, queries: range) -> list[np.ndarray]:
        """Row numbers found for some queries of the workload."""
        raise NotImplementedError

    def filter_speed(self, workload: Workload, way: str, ef: int | None, seconds: float) -> dict[str, Any]:
        """tps by number of clients, and what the peer knows besides, such as the plans."""
        raise NotImplementedError

    def filter_step(self, number: int) -> None:
        """Measure each way with a workload: the fastest point of its ladder that has the recall."""
        workload = self.task.filters.workloads[number]
        wanted = self.settings.filter.ways
        for way, ladder in self.filter_ways().items():
            if wanted and way not in wanted:
                continue
            points = self._filter_points(number, way, ladder)
            point = best_point(points, self.settings.filter.target)
            once = point["seconds_a_query"] * len(workload.conditions)
            seconds = max(self.settings.filter.seconds, min(once, self.settings.filter.patience / 2))
            point = {**point, **self.filter_speed(workload, way, point["ef_search"], seconds), "ladder": points}
            self.results["filter"].setdefault("ways", {}).setdefault(way, []).append(
                {"kind": workload.kind, "selectivity": workload.selectivity, **point})
            speeds = ", ".join(f"{tps:,.0f}/s with {clients}" for clients, tps in point["tps"].items())
            self.say(f"{workload.title}: {way}: recall {point['recall']:.4f}, full {point['full']:.2f}, {speeds}"
                     + "".join(f"; {plan}: {n}" for plan, n in point.get("plans", {}).items()))

    def _filter_points(self, number: int, way: str, ladder: tuple[int | None, ...]) -> list[dict[str, Any]]:
        filters = self.task.filters
        points = []
        for ef in ladder:
            seconds, found = self._filter_pass(filters.workloads[number], way, ef)
            try:
                points.append({"ef_search": ef, "queries": len(found), "seconds_a_query": seconds / len(found),
                               **filters.judge(number, found)})
            except ValueError as error:
                raise PeerError(f"{way}, {filters.workloads[number].title}: {error}") from error
            if seconds > self.settings.filter.patience:
                break
        return points

    def _filter_pass(self, workload: Workload, way: str, ef: int | None) -> tuple[float, list[np.ndarray]]:
        """Seconds, and the rows of all queries, or of the first ones; twice as many are asked each time."""
        found: list[np.ndarray] = []
        start = time.perf_counter()
        while len(found) < len(workload.conditions):
            end = min(2 * len(found) + 1, len(workload.conditions))
            found += self.found_filtered(workload, way, ef, range(len(found), end))
            if time.perf_counter() - start > self.settings.filter.patience:
                break
        return time.perf_counter() - start, found

    # --- writes ---

    def insert(self) -> None:
        raise NotImplementedError

    def vacuum(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Leave nothing behind.  Called once, also after an error."""


def best_point(points: list[dict[str, Any]], target: float) -> dict[str, Any]:
    """The fastest of those with the recall; without any, the one of most recall."""
    enough = [point for point in points if point["recall"] >= target]
    if enough:
        return min(enough, key=lambda point: point["seconds_a_query"])
    return max(points, key=lambda point: point["recall"])
