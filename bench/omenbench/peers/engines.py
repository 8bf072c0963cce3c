"""Libraries behind one small interface.  Each is imported when it is first asked for."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from ..filters import Columns, Condition, Conditions


class Engine(ABC):
    """An index in this process.  Vectors come as float32 arrays, row numbers are the ids."""

    metrics: dict[str, Any] = {}    # what the library calls each metric that it has
    concurrent = True               # whether several threads search at once
    ways: tuple[str, ...] = ()      # to answer filtered queries, if it can

    def __init__(self, metric: str, dims: int, m: int, ef_construction: int):
        self.metric = metric
        self.dims = dims
        self.m = m
        self.ef_construction = ef_construction

    @abstractmethod
    def build(self, base: np.ndarray, threads: int) -> None: ...

    @abstractmethod
    def size(self) -> int:
        """Bytes of the index as the library saves it, vectors included."""

    def query(self, vector: np.ndarray) -> Any:
        """A query in the form that the library takes; not timed."""
        return vector

    @abstractmethod
    def set_ef(self, ef: int | None) -> None:
        """For the searches that follow; None: the library's own default."""

    @abstractmethod
    def search(self, query: Any, k: int) -> Any:
        """What the library answers; timed."""

    @abstractmethod
    def ids(self, answer: Any) -> np.ndarray:
        """Row numbers of an answer; not timed."""

    # --- of an engine that has ways ---

    def build_filtered(self, base: np.ndarray, columns: Columns, threads: int) -> None:
        """In place of build(); columns are the attributes."""
        raise NotImplementedError

    def filtered_query(self, vector: np.ndarray, conditions: Conditions) -> Any:
        """As query()."""
        raise NotImplementedError

    def set_way(self, way: str) -> None:
        """For the next set_ef()."""

    def close(self) -> None: ...


class Hnswlib(Engine):
    metrics = {"l2": "l2", "ip": "ip", "cosine": "cosine"}

    def __init__(self, *args: Any):
        super().__init__(*args)
        import hnswlib
        self.index = hnswlib.Index(self.metrics[self.metric], self.dims)
        self.default_ef = self.index.ef

    def build(self, base: np.ndarray, threads: int) -> None:
        self.index.init_index(len(base), M=self.m, ef_construction=self.ef_construction, random_seed=1)
        self.index.add_items(base, np.arange(len(base)), num_threads=threads)

    def size(self) -> int:
        return _saved_size(self.index.save_index)

    def set_ef(self, ef: int | None) -> None:
        self.index.set_ef(self.default_ef if ef is None else ef)

    def search(self, query: Any, k: int) -> Any:
        return self.index.knn_query(query, k, num_threads=1)

    def ids(self, answer: Any) -> np.ndarray:
        return answer[0][0].astype(np.int64)


class Faiss(Engine):
    """Float vectors, or with 8 bits a dimension."""

    metrics = {"l2": "METRIC_L2", "ip": "METRIC_INNER_PRODUCT", "cosine": "METRIC_INNER_PRODUCT",
               "l1": "METRIC_L1"}
    quantized = False

    def __init__(self, *args: Any):
        super().__init__(*args)
        import faiss
        self.faiss = faiss
        metric = getattr(faiss, self.metrics[self.metric])
        if self.quantized:
            kind = faiss.ScalarQuantizer.QT_8bit
            self.index = faiss.IndexHNSWSQ(self.dims, kind, self.m, metric)
        else:
            self.index = faiss.IndexHNSWFlat(self.dims, self.m, metric)
        self.index.hnsw.efConstruction = self.ef_construction
        self.default_ef = self.index.hnsw.efSearch

    def build(self, base: np.ndarray, threads: int) -> None:
        self.faiss.omp_set_num_threads(threads)
        base = self._unit(base)
        if self.quantized:
            self.index.train(base)
        self.index.add(base)
        self.faiss.omp_set_num_threads(1)

    def _unit(self, rows: np.ndarray) -> np.ndarray:
        """Under cosine, inner products of unit vectors are what is compared."""
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True) if self.metric == "cosine" else rows

    def size(self) -> int:
        return _saved_size(lambda path: self.faiss.write_index(self.index, path))

    def query(self, vector: np.ndarray) -> Any:
        return np.ascontiguousarray(self._unit(vector)[None])

    def set_ef(self, ef: int | None) -> None:
        self.index.hnsw.efSearch = self.default_ef if ef is None else ef

    def search(self, query: Any, k: int) -> Any:
        return self.index.search(query, k)

    def ids(self, answer: Any) -> np.ndarray:
        return answer[1][0]


class FaissSq8(Faiss):
    metrics = {name: value for name, value in Faiss.metrics.items() if name != "l1"}
    quantized = True


class Qdrant(Engine):
    """Qdrant's embedded form, optimised into one segment; float vectors, or int8 with rescoring.

    A call keeps the interpreter's lock while it searches, and a forked process
    hangs in it: what two clients would reach cannot be measured fairly.
    """

    metrics = {"l2": "Euclid", "ip": "Dot", "cosine": "Cosine", "l1": "Manhattan"}
    concurrent = False
    ways = ("filter", "acorn")      # acorn: looks beyond neighbours that do not match
    quantized = False
    batch = 1000                    # points upserted at once
    scanned_kb = 10_000             # Qdrant's default: with fewer vectors to look at, it looks at all of them

    def __init__(self, *args: Any):
        super().__init__(*args)
        import qdrant_edge
        self.qdrant = qdrant_edge
        self.folder = tempfile.mkdtemp(prefix="bench_qdrant")
        self.shard: Any = None
        self.params: Any = None
        self.acorn: Any = None

    def build(self, base: np.ndarray, threads: int) -> None:
        self._create(threads, full_scan_threshold=1)
        self._fill(base, lambda row: None)

    def build_filtered(self, base: np.ndarray, columns: Columns, threads: int) -> None:
        """The payload's indexes come first, for the graph gets links by them."""
        q = self.qdrant
        self._create(threads, full_scan_threshold=self.scanned_kb)
        values = {name: column.tolist() for name, column in columns.items()}
        kinds = {int: q.PayloadSchemaType.Integer, float: q.PayloadSchemaType.Float, str: q.PayloadSchemaType.Keyword}
        for name, column in values.items():
            self.shard.update(q.UpdateOperation.create_field_index(name, kinds[type(column[0])]))
        self._fill(base, lambda row: {name: column[row] for name, column in values.items()})

    def _create(self, threads: int, full_scan_threshold: int) -> None:
        q = self.qdrant
        int8 = q.ScalarQuantizationConfig(q.ScalarType.Int8, always_ram=True)
        self.shard = q.EdgeShard.create(self.folder, q.EdgeConfig(
            vectors=q.EdgeVectorParams(self.dims, getattr(q.Distance, self.metrics[self.metric])),
            hnsw_config=q.HnswIndexConfig(self.m, self.ef_construction, full_scan_threshold,
                                          max_indexing_threads=threads),
            quantization_config=int8 if self.quantized else None,
            optimizers=q.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1)))

    def _fill(self, base: np.ndarray, payload: Callable[[int], dict[str, Any] | None]) -> None:
        q = self.qdrant
        for start in range(0, len(base), self.batch):
            rows = base[start:start + self.batch].tolist()
            self.shard.update(q.UpdateOperation.upsert_points(
                [q.Point(start + i, row, payload(start + i)) for i, row in enumerate(rows)]))
        self.shard.optimize()
        self.shard.flush()

    def size(self) -> int:
        """Of disk blocks: some of the files are sparse."""
        return sum(os.stat(os.path.join(folder, name)).st_blocks * 512
                   for folder, _, names in os.walk(self.folder) for name in names)

    def query(self, vector: np.ndarray) -> Any:
        return self.qdrant.Query.Nearest(vector.tolist()), None

    def filtered_query(self, vector: np.ndarray, conditions: Conditions) -> Any:
        return self.query(vector)[0], self.qdrant.Filter(must=[self._condition(one) for one in conditions])

    def _condition(self, condition: Condition) -> Any:
        q = self.qdrant
        if condition.below is None:
            return q.FieldCondition(condition.column, match=q.MatchValue(condition.least))
        return q.FieldCondition(condition.column, range=q.RangeFloat(gte=condition.least, lt=condition.below))

    def set_way(self, way: str) -> None:
        self.acorn = self.qdrant.AcornSearchParams(enable=True) if way == "acorn" else None

    def set_ef(self, ef: int | None) -> None:
        q = self.qdrant
        rescoring = q.QuantizationSearchParams(rescore=True, oversampling=2.0) if self.quantized else None
        self.params = q.SearchParams(hnsw_ef=ef, quantization=rescoring, acorn=self.acorn)

    def search(self, query: Any, k: int) -> Any:
        nearest, matching = query
        return self.shard.search(self.qdrant.SearchRequest(nearest, limit=k, filter=matching, params=self.params))

    def ids(self, answer: Any) -> np.ndarray:
        return np.array([point.id for point in answer], np.int64)

    def close(self) -> None:
        if self.shard is not None:
            self.shard.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class QdrantInt8(Qdrant):
    quantized = True


# Name of the peer: its class, and the package of PyPI that it comes in.
ENGINES: dict[str, tuple[type[Engine], str]] = {
    "hnswlib": (Hnswlib, "hnswlib"),
    "faiss": (Faiss, "faiss-cpu"),
    "faiss-sq8": (FaissSq8, "faiss-cpu"),
    "qdrant": (Qdrant, "qdrant-edge-py"),
    "qdrant-int8": (QdrantInt8, "qdrant-edge-py"),
}


def _saved_size(save: Any) -> int:
    with tempfile.TemporaryDirectory(prefix="bench_index") as folder:
        path = os.path.join(folder, "index")
        save(path)
        return os.path.getsize(path)
