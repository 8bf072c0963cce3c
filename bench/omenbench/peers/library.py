"""Peers that are libraries: each in a child process, so that its memory can be told from ours."""

from __future__ import annotations

import functools
import importlib.metadata
import multiprocessing
import random
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from .. import memory
from ..filters import Workload
from .base import MissingPeer, Peer, PeerError, Settings, Task
from .engines import ENGINES, Engine


class LibraryPeer(Peer):
    """Sends each question to the child process and keeps what it answers."""

    def __init__(self, name: str, task: Task, settings: Settings):
        super().__init__(name, task, settings)
        engine, package = ENGINES[name]
        try:
            self.results["version"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingPeer(f"no Python package {package}") from error
        if task.data.metric not in engine.metrics:
            raise MissingPeer(f"does not know {task.data.metric}")
        self.results["in_process"] = True
        if engine.ways:
            self.parts = self.parts | {"filter"}
        self._pipe: Connection | None = None
        self._child: Any = None

    def prepare(self) -> None:
        """Start the child.  Arrays go there by a file: a pipe would keep a copy at both ends."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        with tempfile.TemporaryDirectory(prefix="bench_vectors") as folder:
            np.save(f"{folder}/base.npy", np.asarray(self.task.data.base[:self.task.n_built], np.float32))
            np.save(f"{folder}/queries.npy", self.task.data.queries)
            self._child = context.Process(
                target=serve, daemon=True,
                args=(theirs, self.name, folder, self.task.data.metric, self.settings))
            self._child.start()
            theirs.close()
            self._answer()

    def _ask(self, *question: Any) -> Any:
        if self._pipe is None:
            raise PeerError("not started")
        self._pipe.send(question)
        return self._answer()

    def _answer(self) -> Any:
        try:
            fine, answer = self._pipe.recv()
        except EOFError as error:
            self._child.join()
            raise PeerError(f"its process ended, exit code {self._child.exitcode}") from error
        if not fine:
            raise PeerError(answer)
        return answer

    def build(self) -> None:
        self.note_build(**self._ask("build"))

    def measure_search(self, ef: int | None) -> dict[str, Any]:
        recall = self.recall(self._ask("found", ef))
        tps = {str(clients): max(self._ask("speed", clients) for _ in range(self.settings.rounds))
               for clients in self.settings.clients
               if clients == 1 or ENGINES[self.name][0].concurrent}
        return {"recall": recall, "tps": tps}

    # --- filtered search ---

    def prepare_filter(self) -> None:
        with tempfile.TemporaryDirectory(prefix="bench_vectors") as folder:
            np.save(f"{folder}/base.npy", np.asarray(self.task.filters.base, np.float32))
            np.savez(f"{folder}/columns.npz", **self.task.filters.columns)
            built = self._ask("build_filtered", folder)
        self.results["filter"] = {"indexes": {"attributes": built}}
        self.say(f"index with attributes: {built['seconds']:.2f} s, {built['bytes'] / self.task.n_built:.0f} B/vector")

    def filter_ways(self) -> dict[str, tuple[int | None, ...]]:
        return dict.fromkeys(ENGINES[self.name][0].ways, self.settings.filter.ladder)

    def found_filtered(self, workload: Workload, way: str, ef: int | None, queries: range) -> list[np.ndarray]:
        self._ask("ask_filtered", workload, way, ef)
        return self._ask("found_filtered", queries)

    def filter_speed(self, workload: Workload, way: str, ef: int | None, seconds: float) -> dict[str, Any]:
        self._ask("ask_filtered", workload, way, ef)
        return {"tps": {str(clients): self._ask("filtered_speed", clients, seconds)
                        for clients in self.settings.clients if clients == 1 or ENGINES[self.name][0].concurrent}}

    # --- end ---

    def close(self) -> None:
        if self._pipe is not None:
            try:
                self._pipe.send(("end",))
            except OSError:
                pass                    # it has ended already
            self._pipe.close()
        if self._child is not None:
            self._child.join(10)
            if self._child.is_alive():
                self._child.kill()


# --- in the child ------------------------------------------------------------

def serve(pipe: Connection, name: str, folder: str, metric: str, settings: Settings) -> None:
    """Answer questions until one is "end" or the other side is gone."""
    worker = None
    question: tuple[Any, ...] = ("start",)
    while question[0] != "end":
        try:
            if worker is None:
                worker = _Worker(name, folder, metric, settings)
                answer = None
            else:
                answer = getattr(worker, question[0])(*question[1:])
            pipe.send((True, answer))
        except Exception as error:      # pylint: disable=broad-except  # any library's any error
            pipe.send((False, f"{type(error).__name__}: {error}"))
        try:
            question = pipe.recv()
        except EOFError:
            break
    if worker is not None:
        worker.end()


class _Worker:
    """An engine and the data, in the child process."""

    def __init__(self, name: str, folder: str, metric: str, settings: Settings):
        self.base = np.load(f"{folder}/base.npy")
        queries = np.load(f"{folder}/queries.npy")
        self.settings = settings
        self.new_engine: Callable[[], Engine] = functools.partial(
            ENGINES[name][0], metric, self.base.shape[1], settings.m, settings.ef_construction)
        self.engine = self.new_engine()
        self.vectors = queries
        self.queries = [self.engine.query(query) for query in queries]
        self.filtered: Engine | None = None
        self.filtered_queries: list[Any] = []

    def build(self) -> dict[str, Any]:
        """Peak memory is over what the process had with the vectors loaded."""
        before = memory.status("VmRSS")
        memory.reset_peak()
        start = time.perf_counter()
        self.engine.build(self.base, self.settings.processes)
        seconds = time.perf_counter() - start
        peak = memory.status("VmHWM") - before
        del self.base
        return {"seconds": seconds, "index_bytes": self.engine.size(), "memory_bytes": peak}

    def found(self, ef: int | None) -> list[np.ndarray]:
        self.engine.set_ef(ef)
        return [self.engine.ids(self.engine.search(query, self.settings.k)) for query in self.queries]

    def speed(self, clients: int) -> float:
        """Queries a second with the ef of found()."""
        return speed(lambda query: self.engine.search(query, self.settings.k), self.queries, clients,
                     self.settings.seconds)

    def build_filtered(self, folder: str) -> dict[str, Any]:
        base = np.load(f"{folder}/base.npy")
        with np.load(f"{folder}/columns.npz") as file:
            columns = dict(file)
        self.filtered = self.new_engine()
        start = time.perf_counter()
        self.filtered.build_filtered(base, columns, self.settings.processes)
        return {"seconds": time.perf_counter() - start, "bytes": self.filtered.size()}

    def ask_filtered(self, workload: Workload, way: str, ef: int | None) -> None:
        """What the next two are about."""
        self.filtered.set_way(way)
        self.filtered.set_ef(ef)
        self.filtered_queries = [self.filtered.filtered_query(vector, conditions)
                                 for vector, conditions in zip(self.vectors, workload.conditions)]

    def found_filtered(self, queries: range) -> list[np.ndarray]:
        return [self.filtered.ids(self.filtered.search(self.filtered_queries[query], self.settings.k))
                for query in queries]

    def filtered_speed(self, clients: int, seconds: float) -> float:
        return speed(lambda query: self.filtered.search(query, self.settings.k), self.filtered_queries, clients,
                     seconds)

    def end(self) -> None:
        self.engine.close()
        if self.filtered is not None:
            self.filtered.close()


def speed(search: Callable[[Any], Any], queries: list[Any], clients: int, seconds: float) -> float:
    """Queries a second of so many threads, one query at a time each."""
    counts = [0] * clients
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        order = random.Random(number).sample(queries, len(queries))
        while True:
            for query in order:
                search(query)
                counts[number] += 1
                if time.perf_counter() >= end:
                    return

    start = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)
