"""Data sets as arrays: reading files, and the exact answers to queries."""

import os

import numpy as np


class DataError(Exception):
    """A data set that cannot be used, said in words for the user."""


def read_vectors(path, dims=None):
    """float32 array (rows, dimensions) of a .npy, .fvecs, .bvecs or .f32 file."""
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
        raise DataError(f"{path}: expected .npy, .fvecs, .bvecs or .f32")
    if array.ndim != 2:
        raise DataError(f"{path}: not a table of vectors")
    return array


def read_truth(path, n_queries):
    """int32 array (queries, neighbours) of a .npy, .ivecs or .i32 file."""
    kind = os.path.splitext(path)[1]
    if kind == ".npy":
        return np.load(path)
    if kind == ".ivecs":
        return _read_vecs(path, np.int32)
    if kind == ".i32":
        return np.fromfile(path, np.int32).reshape(n_queries, -1)
    raise DataError(f"{path}: expected .npy, .ivecs or .i32")


def _read_vecs(path, element):
    """The *vecs formats: each row is preceded by its length as an int32."""
    dims = int(np.fromfile(path, "<i4", 1)[0])
    row = np.dtype([("dims", "<i4"), ("values", element, (dims,))])
    return np.memmap(path, row, "r")["values"]


def distances(metric, query, rows):
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


def nearest(metric, base, queries, k, keep=None):
    """Row numbers of the k nearest rows of each query, nearest first.

    keep is a boolean array of the rows that count (None: all).  Blocks of
    the base are compared with all queries by matrix products.
    """
    if metric == "l1":
        return _nearest_l1(base, queries, k, keep)
    queries = np.asarray(queries, np.float32)
    if metric == "cosine":
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    best = np.full((len(queries), k), np.inf, np.float32)
    ids = np.full((len(queries), k), -1, np.int64)
    for start in range(0, len(base), 50000):
        block = np.asarray(base[start:start + 50000], np.float32)
        keys = -(queries @ block.T)
        if metric == "l2":
            keys = 2 * keys + (block ** 2).sum(1)
        elif metric == "cosine":
            keys /= np.linalg.norm(block, axis=1)
        if keep is not None:
            keys[:, ~keep[start:start + len(block)]] = np.inf
        best, ids = _merge(best, ids, keys, start, k)
    return ids


def _nearest_l1(base, queries, k, keep):
    ids = np.empty((len(queries), k), np.int64)
    for i, query in enumerate(queries):
        keys = np.abs(base - query).sum(1)
        if keep is not None:
            keys[~keep] = np.inf
        ids[i] = np.argsort(keys, kind="stable")[:k]
    return ids


def _merge(best, ids, keys, start, k):
    few = min(k, keys.shape[1])
    local = np.argpartition(keys, few - 1, axis=1)[:, :few]
    best = np.hstack([best, np.take_along_axis(keys, local, 1)])
    ids = np.hstack([ids, local + start])
    order = np.argsort(best, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(best, order, 1), np.take_along_axis(ids, order, 1)


class DataSet:
    """Base and query vectors with a metric, and the truth about them."""

    def __init__(self, name, metric, base, queries, truth=None):
        if base.shape[1] != queries.shape[1]:
            raise DataError(f"base has {base.shape[1]} dimensions, queries {queries.shape[1]}")
        self.name = name
        self.metric = metric
        self.base = base
        self.queries = np.asarray(queries, np.float32)
        self.truth = truth          # of the whole file, or None
        self._last = (None, None)   # what answers() was asked, and said

    def answers(self, k, keep):
        """The k nearest rows of each query among those that keep marks."""
        question = (k, keep.tobytes())
        if self._last[0] != question:
            known = self._from_truth(k, keep)
            if known is None:
                known = nearest(self.metric, self.base[:len(keep)], self.queries, k, keep)
            self._last = (question, known)
        return self._last[1]

    def _from_truth(self, k, keep):
        """Taken from the truth of all rows, where enough of it is left; else None."""
        if self.truth is None:
            return None
        valid = (self.truth >= 0) & (self.truth < len(keep))
        valid[valid] = keep[self.truth[valid]]
        if valid.sum(1).min() < k:
            return None
        first = np.argsort(~valid, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(self.truth, first, 1)

    def recall(self, found, answers):
        """Share of the k places filled as well as the truth fills them.

        By distance, not by row number: a row as near as the last of the true
        ones is as good as that one.
        """
        hits = 0
        for query, got, true in zip(self.queries, found, answers):
            farthest = distances(self.metric, query, self.base[true[-1:]])[0]
            if len(got):
                near = distances(self.metric, query, self.base[got])
                hits += int((near <= farthest + 1e-6 * abs(farthest)).sum())
        return hits / answers.size


def open_data_set(args):
    """The data set that the command line asks for."""
    if args.base:
        if not args.query:
            raise DataError("--base needs --query")
        queries = read_vectors(args.query, args.dims)
        truth = read_truth(args.truth, len(queries)) if args.truth else None
        name = os.path.splitext(os.path.basename(args.base))[0]
        data = DataSet(name, args.metric or "l2", read_vectors(args.base, args.dims), queries, truth)
    elif args.data == "deb":
        data = _named(args, "deb", "cosine", "deb_b.f16.npy", "deb_q.f16.npy", "deb_gt.i32")
    else:
        data = _named(args, "sift", "l2", "sift_b.npy", "sift_q.npy", "sift_gt.i32")
    if args.queries:
        data.queries = data.queries[:args.queries]
        if data.truth is not None:
            data.truth = data.truth[:args.queries]
    return data


def _named(args, name, metric, base, queries, truth):
    folder = next((f for f in args.data_dir if os.path.exists(os.path.join(f, base))), None)
    if folder is None:
        raise DataError(f"no {base} in {', '.join(args.data_dir)}; see bench/README.md for where to get it")
    query_rows = read_vectors(os.path.join(folder, queries))
    truth_path = os.path.join(folder, truth)
    known = os.path.exists(truth_path) and args.metric in (None, metric)
    return DataSet(name, args.metric or metric, read_vectors(os.path.join(folder, base)), query_rows,
                   read_truth(truth_path, len(query_rows)) if known else None)
