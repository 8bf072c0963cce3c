"""Filtered search: attributes of the rows, conditions on them, and the true answers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from .datasets import BLOCK, DataSet, distances, nearest

N_BUCKETS = 10000           # distinct values of bucket and the places by nearness, or one for each row
N_POINTS = 4                # of the space, each in the midst of some of the queries
N_TENANTS = 10000
N_CATEGORIES = 50
PRICE_SHARE = 0.2           # of the rows, in a range of prices

# The attributes, in the order of the columns, and their types in a server.
NEAR = [f"near_{point}" for point in range(N_POINTS)]
TYPES = {"bucket": "int", **dict.fromkeys(NEAR, "int"), "tenant": "int", "category": "text", "price": "float8"}

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Condition:
    """column = least; or, if below is given, least <= column < below."""

    column: str
    least: Any
    below: Any = None

    def sql(self) -> str:
        if self.below is None:
            return f"{self.column} = {_literal(self.least)}"
        return f"{self.column} >= {_literal(self.least)} AND {self.column} < {_literal(self.below)}"

    def mask(self, columns: Columns) -> np.ndarray:
        values = columns[self.column]
        if self.below is None:
            return values == self.least
        return (values >= self.least) & (values < self.below)


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


Conditions = tuple[Condition, ...]          # of a query, all of which a row must fulfil


def sql(conditions: Conditions) -> str:
    return " AND ".join(condition.sql() for condition in conditions)


@dataclass
class Workload:
    """Conditions of one kind, for each query its own."""

    kind: str
    selectivity: float | None               # share of the rows asked for; None: as it comes
    conditions: list[Conditions]

    @property
    def title(self) -> str:
        return self.kind if self.selectivity is None else f"{self.kind} {100 * self.selectivity:g} %"


@dataclass
class Truth:
    """What should be found."""

    keep: np.ndarray            # (queries, rows): which rows match
    answers: np.ndarray         # (queries, k): row numbers, nearest first; -1 where fewer match

    @property
    def places(self) -> np.ndarray:
        """How many rows each query should get."""
        return (self.answers >= 0).sum(1)


class Filters:
    """The attributes of the first n_rows rows of a data set, and workloads for its first queries."""

    def __init__(self, data: DataSet, n_rows: int, n_queries: int, selectivities: list[float], k: int):
        self.data = data
        self.base = data.base[:n_rows]
        self.queries = data.queries[:n_queries]
        self.k = k
        self.n_buckets = min(N_BUCKETS, n_rows)
        self.points, self.point_of = midpoints(data.metric, self.queries, N_POINTS)
        self.columns = self._columns()
        self.workloads = self._workloads(selectivities)
        self.truth = functools.lru_cache(1)(self._truth)        # of the workload being measured

    # --- attributes ---

    def _columns(self) -> Columns:
        n_rows = len(self.base)
        random = np.random.default_rng(1)
        buckets = np.arange(n_rows) * self.n_buckets // n_rows
        near = {name: np.empty(n_rows, np.int64) for name in NEAR}
        for places, found in zip(near.values(), _distances_to(self.data.metric, self.points, self.base)):
            places[np.argsort(found, kind="stable")] = buckets
        tenant = _zipf(random, N_TENANTS, n_rows)
        category = np.array([f"category-{number:02}" for number in _zipf(random, N_CATEGORIES, n_rows)])
        price = np.round(random.lognormal(3, 1, n_rows), 2)
        payload = {name: values[:n_rows] for name, values in self.data.payload.items()}
        return {"bucket": random.permutation(buckets), **near, "tenant": tenant,
                "category": category, "price": price} | payload

    # --- workloads ---

    def _workloads(self, selectivities: list[float]) -> list[Workload]:
        """By selectivity those whose matches have nothing to do with the query, are near it, or far; then some as
        users have them."""
        workloads = [Workload("uncorrelated", selectivity, self._random_buckets(self._width(selectivity)))
                     for selectivity in selectivities]
        for kind in ("correlated", "adverse"):
            for selectivity in selectivities:
                if selectivity < 1:
                    width = self._width(selectivity)
                    least = 0 if kind == "correlated" else self.n_buckets - width
                    workloads.append(Workload(kind, selectivity, [
                        (Condition(NEAR[point], least, least + width),) for point in self.point_of]))
        random = np.random.default_rng(3)
        tenants = [(self._a_tenant(random),) for _ in self.queries]
        categories = [(self._a_category(random),) for _ in self.queries]
        prices = [(self._a_price_range(random),) for _ in self.queries]
        both = [first + second for first, second in zip(categories, prices)]
        return workloads + [Workload("tenant", None, tenants), Workload("category", None, categories),
                            Workload("price", None, prices), Workload("category and price", None, both)]

    def _width(self, selectivity: float) -> int:
        """In buckets."""
        return max(round(selectivity * self.n_buckets), 1)

    def _random_buckets(self, width: int) -> list[Conditions]:
        starts = np.random.default_rng([2, width]).integers(0, self.n_buckets - width + 1, len(self.queries))
        return [(Condition("bucket", int(start), int(start) + width),) for start in starts]

    def _a_tenant(self, random: np.random.Generator) -> Condition:
        """Of any size, as many of each order of magnitude; not one without rows."""
        present = np.unique(self.columns["tenant"])
        wanted = N_TENANTS ** random.random() - 1
        return Condition("tenant", int(present[np.abs(present - wanted).argmin()]))

    def _a_category(self, random: np.random.Generator) -> Condition:
        return Condition("category", str(random.choice(np.unique(self.columns["category"]))))

    def _a_price_range(self, random: np.random.Generator) -> Condition:
        least = random.random() * (1 - PRICE_SHARE)
        bounds = np.quantile(self.columns["price"], [least, least + PRICE_SHARE])
        return Condition("price", *(float(bound) for bound in bounds))

    # --- the truth ---

    def describe(self) -> dict[str, Any]:
        """For the results: what the workloads ask for, and how many rows match."""
        workloads = []
        for workload in self.workloads:
            matches = self.mask(workload).sum(1)
            workloads.append({
                "kind": workload.kind, "selectivity": workload.selectivity, "example": sql(workload.conditions[0]),
                "matches": float(matches.mean()), "least": int(matches.min()), "most": int(matches.max())})
        return {"queries": len(self.queries), "attributes": TYPES, "payload": sorted(self.data.payload),
                "workloads": workloads}

    def mask(self, workload: Workload) -> np.ndarray:
        """(queries, rows): which rows match."""
        return np.array([np.logical_and.reduce([condition.mask(self.columns) for condition in conditions])
                         for conditions in workload.conditions])

    def _truth(self, number: int) -> Truth:
        keep = self.mask(self.workloads[number])
        return Truth(keep, nearest(self.data.metric, self.base, self.queries, self.k, keep))

    def judge(self, number: int, found: list[np.ndarray]) -> dict[str, float]:
        """recall, and the share of the queries that got as many rows as there are to give; of the first queries.

        A row that does not match, or comes twice, is not bad recall but a wrong answer: ValueError.
        """
        truth = self.truth(number)
        for query, rows in enumerate(found):
            if len(np.unique(rows)) < len(rows):
                raise ValueError(f"query {query} got a row twice")
            if not truth.keep[query, rows].all():
                raise ValueError(f"query {query} got a row that does not match")
        n_found = np.array([len(rows) for rows in found])
        places = truth.places[:len(found)]
        recall = self.data.recall(found, truth.answers[:len(found)]) if places.any() else 1.0
        return {"recall": float(recall), "full": float((n_found >= places).mean())}


def _zipf(random: np.random.Generator, n_values: int, n: int) -> np.ndarray:
    """Numbers below n_values, of sizes that fall as 1, 1/2, 1/3, …"""
    weights = 1 / np.arange(1, n_values + 1)
    return random.choice(n_values, n, p=weights / weights.sum())


def midpoints(metric: str, queries: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points amid the queries, far from each other, and the nearest of them to each query: k-means."""
    points = queries[:1]
    while len(points) < n:
        nearest_point = _distances_to(metric, points, queries).min(0)
        points = np.vstack([points, queries[[nearest_point.argmax()]]])
    for _ in range(5):
        point_of = _distances_to(metric, points, queries).argmin(0)
        points = np.array([queries[point_of == i].mean(0) if (point_of == i).any() else point
                           for i, point in enumerate(points)])
    return points, _distances_to(metric, points, queries).argmin(0)


def _distances_to(metric: str, points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(points, rows); block by block, for distances() takes copies in double precision."""
    blocks = [rows[start:start + BLOCK] for start in range(0, len(rows), BLOCK)]
    return np.array([np.concatenate([distances(metric, point, block) for block in blocks]) for point in points])
