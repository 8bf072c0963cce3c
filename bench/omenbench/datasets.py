"""Data sets as arrays: reading files, making data, and the exact answers to queries."""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass, field

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HERE)
DEMO = os.path.join(BENCH, "..", "demo", "data")
FOLDERS = [os.path.join(BENCH, "data"), os.path.join(BENCH, "..", "..", "shared", "data")]

BLOCK = 50000               # rows compared at once

HDF5_METRICS = {"euclidean": "l2", "angular": "cosine", "dot": "ip", "ip": "ip"}


class DataError(Exception):
    """A data set that cannot be used, said in words for the user."""


# --- files -------------------------------------------------------------------

def read_vectors(path: str, dims: int | None = None) -> np.ndarray:
    """Array (rows, dimensions) of a .npy, .fvecs, .bvecs or .f32 file."""
    if not os.path.exists(path):
        raise DataError(f"no file {path}")
    kind = os.path.splitext(path)[1]
    if kind == ".npy":
        array = np.load(path, mmap_mode="r")
    elif kind == ".fvecs":
        array = _read_vecs(path, np.float32)
    elif kind == ".bvecs":
        array = _read_vecs(path, np.uint8)
    elif kind == ".f32":
        if not dims:
            raise DataError(f"{path} does not say its dimensions: use --dims")
        array = np.memmap(path, np.float32, "r").reshape(-1, dims)
    else:
        raise DataError(f"{path}: expected .npy, .fvecs, .bvecs, .f32 or .hdf5")
    if array.ndim != 2:
        raise DataError(f"{path}: not a table of vectors")
    return array


def read_truth(path: str, n_queries: int) -> np.ndarray:
    """Row numbers (queries, neighbours) of a .npy, .ivecs or .i32 file."""
    if not os.path.exists(path):
        raise DataError(f"no file {path}")
    kind = os.path.splitext(path)[1]
    if kind == ".npy":
        return np.load(path)
    if kind == ".ivecs":
        return _read_vecs(path, np.int32)
    if kind == ".i32":
        return np.fromfile(path, np.int32).reshape(n_queries, -1)
    raise DataError(f"{path}: expected .npy, .ivecs or .i32")


def _read_vecs(path: str, element: type) -> np.ndarray:
    """The *vecs formats: each row is preceded by its length as an int32."""
    dims = int(np.fromfile(path, "<i4", 1)[0])
    row = np.dtype([("dims", "<i4"), ("values", element, (dims,))])
    return np.memmap(path, row, "r")["values"]


def read_hdf5(path: str, metric: str | None) -> DataSet:
    """A file of ann-benchmarks: train, test, neighbors, and the distance as an attribute."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"{path}: needs the Python package h5py") from error
    if not os.path.exists(path):
        raise DataError(f"no file {path}")
    with h5py.File(path, "r") as file:
        distance = str(file.attrs.get("distance", "euclidean"))
        if metric is None and distance not in HDF5_METRICS:
            raise DataError(f"{path}: no operator for distance \"{distance}\"")
        own = HDF5_METRICS.get(distance, "")
        truth = file["neighbors"][:] if "neighbors" in file and metric in (None, own) else None
        return DataSet(_base_name(path), metric or own, file["train"][:], file["test"][:], truth)


# --- the truth ---------------------------------------------------------------

def distances(metric: str, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What the SQL operator of the metric orders by, in double precision."""
    query = query.astype(np.float64)
    rows = rows.astype(np.float64)
    if metric == "l2":
        return np.sqrt(((rows - query) ** 2).sum(1))
    if metric == "l1":
        return np.abs(rows - query).sum(1)
    products = rows @ query
    if metric == "ip":
        return -products
    return 1 - products / np.sqrt((rows ** 2).sum(1) * (query ** 2).sum())


def nearest(metric: str, base: np.ndarray, queries: np.ndarray, k: int,
            keep: np.ndarray | None = None) -> np.ndarray:
    """Row numbers of the k nearest rows of each query, nearest first; -1 where there are no more.

    keep is a boolean array of the rows that count (None: all), for all
    queries or with a row for each.  Blocks of the base are compared with all
    queries by matrix products.
    """
    if metric == "l1":
        return _nearest_l1(base, queries, k, keep)
    queries = np.asarray(queries, np.float32)
    if metric == "cosine":
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    best = np.full((len(queries), k), np.inf, np.float32)
    ids = np.full((len(queries), k), -1, np.int64)
    for start in range(0, len(base), BLOCK):
        block = np.asarray(base[start:start + BLOCK], np.float32)
        keys = -(queries @ block.T)
        if metric == "l2":
            keys = 2 * keys + (block ** 2).sum(1)
        elif metric == "cosine":
            keys /= np.linalg.norm(block, axis=1)
        if keep is not None:
            keys[~np.broadcast_to(keep[..., start:start + len(block)], keys.shape)] = np.inf
        best, ids = _merge(best, ids, keys, start, k)
    return ids


def _nearest_l1(base: np.ndarray, queries: np.ndarray, k: int, keep: np.ndarray | None) -> np.ndarray:
    ids = np.full((len(queries), k), -1, np.int64)
    for i, query in enumerate(queries):
        keys = np.abs(base - query).sum(1)
        if keep is not None:
            keys[~(keep if keep.ndim == 1 else keep[i])] = np.inf
        first = np.argsort(keys, kind="stable")[:k]
        ids[i, :len(first)] = np.where(np.isinf(keys[first]), -1, first)
    return ids


def _merge(best: np.ndarray, ids: np.ndarray, keys: np.ndarray, start: int,
           k: int) -> tuple[np.ndarray, np.ndarray]:
    """What is better replaces what is there; rows that do not count leave -1 in its place, for the sort is stable."""
    few = min(k, keys.shape[1])
    local = np.argpartition(keys, few - 1, axis=1)[:, :few]
    best = np.hstack([best, np.take_along_axis(keys, local, 1)])
    ids = np.hstack([ids, local + start])
    order = np.argsort(best, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(best, order, 1), np.take_along_axis(ids, order, 1)


@dataclass
class DataSet:
    """Base and query vectors with a metric, and the truth about them."""

    name: str
    metric: str                     # l2, ip, cosine or l1
    base: np.ndarray
    queries: np.ndarray
    truth: np.ndarray | None = None     # of all rows; row numbers, nearest first
    payload: dict[str, np.ndarray] = field(default_factory=dict)    # of each row: "category", "price"
    _last: tuple = field(default=(None, None), repr=False)     # what answers() was asked, and said

    def __post_init__(self) -> None:
        if self.base.shape[1] != self.queries.shape[1]:
            raise DataError(f"base has {self.base.shape[1]} dimensions, queries {self.queries.shape[1]}")
        self.queries = np.asarray(self.queries, np.float32)

    def first_queries(self, n: int) -> None:
        self.queries = self.queries[:n]
        if self.truth is not None:
            self.truth = self.truth[:n]

    def answers(self, k: int, keep: np.ndarray) -> np.ndarray:
        """The k nearest rows of each query among those that keep marks."""
        question = (k, keep.tobytes())
        if self._last[0] != question:
            known = self._from_truth(k, keep)
            if known is None:
                known = nearest(self.metric, self.base[:len(keep)], self.queries, k, keep)
            self._last = (question, known)
        return self._last[1]

    def _from_truth(self, k: int, keep: np.ndarray) -> np.ndarray | None:
        """Taken from the truth of all rows, where enough of it is left; else None."""
        if self.truth is None:
            return None
        valid = (self.truth >= 0) & (self.truth < len(keep))
        valid[valid] = keep[self.truth[valid]]
        if valid.sum(1).min() < k:
            return None
        first = np.argsort(~valid, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(self.truth, first, 1)

    def recall(self, found: list[np.ndarray], answers: np.ndarray) -> float:
        """Share of the places filled as well as the truth fills them: k a query, or as many as it has.

        By distance, not by row number: a row as near as the last of the true
        ones is as good as that one.  A row found twice counts once.
        """
        hits = 0
        for query, got, true in zip(self.queries, found, answers):
            true = true[true >= 0]
            got = np.unique(got)
            if len(got) and len(true):
                farthest = distances(self.metric, query, self.base[true[-1:]])[0]
                near = distances(self.metric, query, self.base[got])
                hits += min(int((near <= farthest + 1e-6 * abs(farthest)).sum()), len(true))
        return hits / (answers >= 0).sum()


# --- data sets by name -------------------------------------------------------

def synthetic(rows: int, dims: int, n_queries: int, seed: int = 1) -> DataSet:
    """Clusters of few inner dimensions: nothing real, but no harder than real data, and made at once."""
    random = np.random.default_rng(seed)
    n_clusters = max(rows // 100, 1)
    inner = min(dims, 12)
    centres = random.normal(size=(n_clusters, dims))
    spread = random.normal(size=(inner, dims)) / np.sqrt(inner)

    def sample(n: int) -> np.ndarray:
        members = centres[random.integers(n_clusters, size=n)]
        return (members + random.normal(size=(n, inner)) @ spread).astype(np.float32)

    return DataSet("synthetic", "l2", sample(rows), sample(n_queries))


def demo() -> DataSet:
    """The 10,000 packages and 200 phrases of ./dev demo, which every checkout has."""
    return DataSet("demo", "cosine", _read_copy("packages.copy.gz"), _read_copy("queries.copy.gz"))


def _read_copy(name: str) -> np.ndarray:
    """The last column, a vector, of a file in COPY's text format."""
    with gzip.open(os.path.join(DEMO, name), "rt", encoding="utf-8") as file:
        return np.array([np.fromstring(line.rsplit("\t", 1)[1].strip()[1:-1], np.float32, sep=",")
                         for line in file])


def _stored(name: str, metric: str, suffix: str, folders: list[str]) -> DataSet | None:
    """One of the sets that lie as NAME_b, NAME_q and NAME_gt in some folder."""
    for folder in folders:
        def path(part: str, folder: str = folder) -> str:
            return os.path.join(folder, f"{name}_{part}")
        if os.path.exists(path("b" + suffix)):
            queries = read_vectors(path("q" + suffix))
            truth = read_truth(path("gt.i32"), len(queries)) if os.path.exists(path("gt.i32")) else None
            return DataSet(name, metric, read_vectors(path("b" + suffix)), queries, truth,
                           _read_payload(path("payload.tsv.gz")))
    return None


def _read_payload(path: str) -> dict[str, np.ndarray]:
    """What the rows of "deb" are, for filters: section and installed size."""
    if not os.path.exists(path):
        return {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {"category": np.array([row["section"] for row in rows]),
            "price": np.array([row["installed_size"] for row in rows], np.float64)}


STORED = {"deb": ("cosine", ".f16.npy"), "sift": ("l2", ".npy")}
NAMES = [*STORED, "demo", "synthetic"]


def named(name: str, folders: list[str], rows: int | None = None, dims: int | None = None) -> DataSet:
    """A data set of the bench's own; rows and dims are those of a synthetic one."""
    if name == "demo":
        return demo()
    if name == "synthetic":
        return synthetic(rows or 10000, dims or 64, 200)
    data = _stored(name, *STORED[name], folders)
    if data is None:
        raise DataError(f"no {name}_b{STORED[name][1]} in {', '.join(folders)};"
                        " see bench/README.md for where to get it")
    return data


def from_files(base: str, query: str | None, truth: str | None, metric: str | None,
               dims: int | None) -> DataSet:
    """A user's own data."""
    if os.path.splitext(base)[1] in (".hdf5", ".h5"):
        return read_hdf5(base, metric)
    if query is None:
        raise DataError("--base needs --query")
    queries = read_vectors(query, dims)
    known = read_truth(truth, len(queries)) if truth else None
    return DataSet(_base_name(base), metric or "l2", read_vectors(base, dims), queries, known)


def with_metric(data: DataSet, metric: str | None) -> DataSet:
    """The same vectors under another metric, for which the stored truth does not hold."""
    if metric in (None, data.metric):
        return data
    return DataSet(data.name, metric, data.base, data.queries, payload=data.payload)


def _base_name(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
