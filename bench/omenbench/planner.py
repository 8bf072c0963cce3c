"""Does the planner choose well?  Times of the default plan and of each that can be forced."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from .datasets import DataSet
from .measure import say
from .peers.postgres import OPERATORS
from .plans import explained, scan_of, show_only
from .report import machine_lines
from .server import Database, ServerError

N_QUERIES = 5               # the median of their times counts
N_RUNS = 3                  # of each query; the best counts
NOISE_MS = 0.1              # differences below it are no reason to call a choice bad

INDEXES = ("attributes", "omenhnsw", "btree")       # of the vectors and rank, of the vectors, of rank


@dataclass(frozen=True)
class Way:
    """What the planner may use: indexes that it sees, settings that are off."""

    indexes: tuple[str, ...] = INDEXES
    disabled: tuple[str, ...] = ()


CHOICE = Way()

# Each way to answer, by the name of its scan, with what keeps the planner from all the others.
FORCED = {
    "attributes": Way(("attributes",), ("enable_seqscan", "enable_sort")),
    "omenhnsw": Way(("omenhnsw",), ("enable_seqscan", "enable_sort")),
    "bitmap": Way(("btree",), ("enable_seqscan", "enable_indexscan")),
    "seq": Way((), ()),
}


@dataclass(frozen=True)
class Query:
    """SELECT … WHERE rank < selectivity ORDER BY distance LIMIT limit."""

    rows: int
    selectivity: float
    limit: int


class Matrix:
    """One table for each size, with a column "rank" of 0 to 1 that is independent of the vectors."""

    def __init__(self, data: DataSet, sizes: list[int], selectivities: list[float], limits: list[int],
                 timeout_s: float, memory: str):
        self.data = data
        self.sizes = sizes
        self.selectivities = selectivities
        self.limits = limits
        self.timeout_s = timeout_s
        self.memory = memory
        self.db = Database("bench_planner")
        self.shown: tuple[int, tuple[str, ...]] | None = None      # rows of the table, and its indexes

    def run(self) -> list[dict[str, Any]]:
        """A dictionary for each cell."""
        postgres = Database("postgres")
        postgres.execute(f"DROP DATABASE IF EXISTS {self.db.name};\nCREATE DATABASE {self.db.name};")
        try:
            self.db.execute("CREATE EXTENSION omenvec; CREATE EXTENSION pg_prewarm;")
            cells = []
            for rows in self.sizes:
                self._load(rows)
                for selectivity in self.selectivities:
                    for limit in self.limits:
                        cells.append(self._cell(Query(rows, selectivity, limit)))
            return cells
        finally:
            postgres.execute(f"DROP DATABASE IF EXISTS {self.db.name} WITH (FORCE);")

    def _load(self, rows: int) -> None:
        say(f"planner: {rows:,} rows")
        self.db.execute(f"""
            CREATE TABLE loaded (id int, v vector({self.data.base.shape[1]}));""")
        self.db.load("loaded", np.arange(rows), self.data.base[:rows])
        self.db.execute(f"""
            SELECT setseed(0.5);
            CREATE TABLE items_{rows} AS SELECT id, v,
                (row_number() OVER (ORDER BY random()) - 1)::float8 / {rows} AS rank FROM loaded ORDER BY id;
            DROP TABLE loaded;
            SET maintenance_work_mem = '{self.memory}';
            CREATE INDEX btree_{rows} ON items_{rows} (rank);
            CREATE INDEX omenhnsw_{rows} ON items_{rows} USING omenhnsw (v vector_{self.data.metric}_ops);
            CREATE INDEX attributes_{rows} ON items_{rows} USING omenhnsw (v vector_{self.data.metric}_ops, rank);
            VACUUM (ANALYZE) items_{rows};
            SELECT pg_prewarm('items_{rows}'), {", ".join(f"pg_prewarm('{index}_{rows}')" for index in INDEXES)};""")

    def _cell(self, query: Query) -> dict[str, Any]:
        """Times in ms by plan; None: given up, or not to be had."""
        chosen = self._scan(query, CHOICE)
        times = {}
        for name, way in FORCED.items():
            if self._scan(query, way) == name:
                times[name] = self._time(query, way)
        if chosen not in times:                 # some plan that is none of these
            times[chosen] = self._time(query, CHOICE)
        known = {name: time for name, time in times.items() if time is not None}
        best = min(known, key=known.__getitem__) if known else None
        ratio = known[chosen] / min(known.values()) if chosen in known else None
        say(f"  rank < {query.selectivity:g}, limit {query.limit}: {chosen}, best {best},"
            f" ratio {'?' if ratio is None else f'{ratio:.2f}'}"
            + "".join(f"; {name} {'timeout' if time is None else f'{time:.2f} ms'}" for name, time in times.items()))
        return {"rows": query.rows, "selectivity": query.selectivity, "limit": query.limit,
                "chosen": chosen, "best": best, "ratio": ratio, "ms": times}

    def _explain(self, query: Query, way: Way, options: str, n: int) -> list[Any]:
        """The plan of each of the first n queries."""
        if self.shown != (query.rows, way.indexes):
            show_only(self.db, f"items_{query.rows}", [f"{index}_{query.rows}" for index in way.indexes])
            self.shown = (query.rows, way.indexes)
        vectors = ("[" + ",".join(f"{value:.9g}" for value in vector) + "]" for vector in self.data.queries[:n])
        script = [f"SET {setting} = off;" for setting in way.disabled]
        script.append(f"SET statement_timeout = {round(1000 * self.timeout_s)};")
        for vector in vectors:
            script.append(f"""EXPLAIN (FORMAT json{options}) SELECT id FROM items_{query.rows}
                WHERE rank < {query.selectivity!r} ORDER BY v {OPERATORS[self.data.metric]} '{vector}'
                LIMIT {query.limit};""")
        return explained(self.db, "\n".join(script))

    def _scan(self, query: Query, way: Way) -> str:
        """Which of FORCED a plan is, or what its scan is called otherwise."""
        return scan_of(self._explain(query, way, "", 1)[0]).removesuffix(f"_{query.rows}")

    def _time(self, query: Query, way: Way) -> float | None:
        """Median of the queries' times, planning included."""
        runs = []
        for _ in range(N_RUNS):
            try:
                plans = self._explain(query, way, ", analyze, timing off", N_QUERIES)
            except ServerError as error:
                if "statement timeout" in str(error):
                    return None
                raise
            runs.append([plan[0]["Planning Time"] + plan[0]["Execution Time"] for plan in plans])
        return statistics.median(map(min, zip(*runs)))


def markdown(results: dict[str, Any]) -> str:
    """A table for each size: the chosen plan, and how many times the best plan's time it takes."""
    cells = results["planner"]
    lines = [f"# Planner matrix: {results['data']['name']}, {results['data']['dimensions']} dimensions", "",
             *machine_lines(results), "",
             "A cell: the plan chosen and its time; where another is faster, that one's time and the ratio. Bold:"
             f" more than twice the best plan's time, and by more than {NOISE_MS} ms.", ""]
    limits = sorted({cell["limit"] for cell in cells})
    for rows in sorted({cell["rows"] for cell in cells}):
        lines += [f"## {rows:,} rows", "", "| selectivity | " + " | ".join(f"limit {limit}" for limit in limits) + " |",
                  "|---" * (1 + len(limits)) + "|"]
        for selectivity in sorted({cell["selectivity"] for cell in cells}):
            row = {cell["limit"]: cell for cell in cells
                   if (cell["rows"], cell["selectivity"]) == (rows, selectivity)}
            lines.append(f"| {selectivity:g} | " + " | ".join(_cell_text(row[limit]) for limit in limits) + " |")
        lines.append("")
    return "\n".join(lines + [_verdict(cells)])


def _cell_text(cell: dict[str, Any]) -> str:
    chosen, best, ratio = cell["chosen"], cell["best"], cell["ratio"]
    if ratio is None:
        return f"**{chosen}, given up**" + (f"; {best} {cell['ms'][best]:.2f} ms" if best else "")
    text = f"{chosen} {cell['ms'][chosen]:.2f} ms"
    if chosen == best:
        return text
    text += f"; {best} {cell['ms'][best]:.2f} ms: {ratio:.2f}×"
    return f"**{text}**" if _is_bad(cell) else text


def _is_bad(cell: dict[str, Any]) -> bool:
    """Whether the choice costs more than twice the best plan's time."""
    if cell["ratio"] is None:
        return True
    return cell["ratio"] > 2 and cell["ms"][cell["chosen"]] - cell["ms"][cell["best"]] > NOISE_MS


def _verdict(cells: list[dict[str, Any]]) -> str:
    bad = [cell for cell in cells if _is_bad(cell)]
    ratios = [cell["ratio"] for cell in cells if cell["ratio"] is not None]
    worst = f"{max(ratios):.2f}" if ratios else "-"
    return (f"{len(cells) - len(bad)} of {len(cells)} cells within 2× of the best plan; the worst measured ratio"
            f" is {worst}, the median {statistics.median(ratios or [0]):.2f}.")
