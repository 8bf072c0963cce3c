"""The command line of ./dev bench."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import sys
import time
from typing import Any

from . import datasets, filter_report, machine, measure, planner, report
from .datasets import DataError, DataSet
from .filters import Filters
from .measure import say
from .peers.base import FilterSettings, Settings, Task
from .peers.postgres import OPERATORS
from .server import ServerError


def numbers(kind: type) -> Any:
    """An argument of several numbers with commas between."""
    def parse(text: str) -> list:
        return [kind(part) for part in text.split(",")]
    parse.__name__ = f"list of {kind.__name__}"
    return parse


def up_to(most: int) -> Any:
    def parse(text: str) -> int:
        if not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from 1 to {most}")
        return int(text)
    parse.__name__ = f"number up to {most}"
    return parse


def names(known: list[str]) -> Any:
    def parse(text: str) -> list[str]:
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"\"{name}\" is none of {', '.join(known)}")
        return text.split(",")
    return parse


def parser() -> argparse.ArgumentParser:
    peers = list(measure.PEERS)
    top = argparse.ArgumentParser(
        prog="./dev bench", description="Benchmarks of omenvec beside its peers: see bench/README.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    data = top.add_argument_group("data")
    data.add_argument("--data", choices=datasets.NAMES, help="known data (default: deb if it is there, else demo)")
    data.add_argument("--data-dir", action="append", default=[], metavar="DIR",
                      help="where known data sets lie, besides bench/data and ../shared/data")
    data.add_argument("--base", metavar="FILE", help="own base vectors: .npy .fvecs .bvecs .f32; or .hdf5 with all")
    data.add_argument("--query", metavar="FILE", help="own query vectors")
    data.add_argument("--truth", metavar="FILE", help="rows of the true neighbours: .npy .ivecs .i32 (else computed)")
    data.add_argument("--dims", type=int, help="dimensions of a .f32 file or of synthetic data")
    data.add_argument("--metric", choices=list(OPERATORS), help="instead of the data set's own")
    data.add_argument("--n", type=int, help="only the first N base vectors")
    data.add_argument("--queries", type=int, help="only the first N queries")
    what = top.add_argument_group("what to measure")
    what.add_argument("--peers", type=names(peers), default=peers, help="of these, those that are installed")
    what.add_argument("--parts", type=names(measure.PARTS), default=measure.PARTS, help="of these, in this order")
    what.add_argument("--k", type=int, default=10, help="neighbours asked for")
    what.add_argument("--ef", type=numbers(int), default="10,20,40,60,80,120,200,400", help="ladder of ef_search")
    what.add_argument("--clients", type=numbers(int), default="1,2", help="concurrent clients")
    what.add_argument("--seconds", type=float, default=3, help="of each speed (PostgreSQL: whole ones)")
    what.add_argument("--rounds", type=int, default=1, help="of each speed; the best counts")
    what.add_argument("--insert", type=int, metavar="ROWS", help="rows to insert (default: 1 %% of the base)")
    what.add_argument("--targets", type=numbers(float), default="0.95,0.98,0.99", help="compare speed at these recalls")
    filters = top.add_argument_group("filtered search (part filter)")
    filters.add_argument("--filter-queries", type=up_to(128), default=100, metavar="N",
                         help="the first N queries, each with conditions of its own; at most 128")
    filters.add_argument("--filter-seconds", type=float, default=FilterSettings.seconds,
                         help="of each speed, or longer, so that all queries get their turn")
    filters.add_argument("--filter-ef", type=numbers(int), default=",".join(map(str, FilterSettings.ladder)),
                         help="ladder of ef_search for peers that filter what their index returns")
    filters.add_argument("--filter-target", type=float, default=FilterSettings.target,
                         help="recall at which speeds are compared")
    filters.add_argument("--filter-patience", type=float, default=FilterSettings.patience, metavar="SECONDS",
                         help="after which no more queries are asked at a point of the ladder, and the ladder ends")
    filters.add_argument("--filter-ways", type=lambda text: tuple(text.split(",")), default=(), metavar="WAY,…",
                         help="ways to answer, of those that each peer has (default: all)")
    filters.add_argument("--selectivities", type=numbers(float), default="0.0001,0.001,0.01,0.1,0.5,1",
                         help="of conditions, for the planner matrix, too")
    index = top.add_argument_group("index")
    index.add_argument("--m", type=int, default=16)
    index.add_argument("--ef-construction", type=int, default=64)
    index.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1),
                       help="processes or threads that build")
    index.add_argument("--memory", default="2GB", help="maintenance_work_mem")
    plans = top.add_argument_group("planner matrix (instead of the comparison)")
    plans.add_argument("--planner", action="store_true", help="time the default plan beside each forced one")
    plans.add_argument("--sizes", type=numbers(int), help="rows of the tables (default: powers of ten from 1,000)")
    plans.add_argument("--limits", type=numbers(int), default="1,10,100,1000")
    plans.add_argument("--timeout", type=float, default=20, help="seconds after which a plan is given up")
    top.add_argument("--out", default=os.path.join(datasets.BENCH, "results"), help="folder for results")
    return top


def open_data_set(args: argparse.Namespace) -> DataSet:
    folders = args.data_dir + datasets.FOLDERS
    if args.base:
        data = datasets.from_files(args.base, args.query, args.truth, args.metric, args.dims)
    elif args.data:
        data = datasets.named(args.data, folders, args.n, args.dims)
    else:
        try:
            data = datasets.named("deb", folders)
        except DataError:
            say("no --data, and deb is not there: taking the 10,000 vectors of the demo")
            data = datasets.demo()
    data = datasets.with_metric(data, args.metric)
    if args.queries:
        data.first_queries(args.queries)
    return data


def compare(args: argparse.Namespace, data: DataSet) -> dict[str, Any]:
    n_rows = min(args.n or len(data.base), len(data.base))
    n_extra = min(args.insert or max(n_rows // 100, 1), n_rows - 1) if "insert" in args.parts else 0
    settings = Settings(args.k, tuple(args.ef), tuple(args.clients), args.seconds, args.rounds, args.m,
                        args.ef_construction, args.processes, args.memory,
                        FilterSettings(tuple(args.filter_ef), args.filter_seconds, args.filter_target,
                                       args.filter_patience, args.filter_ways))
    filters = Filters(data, n_rows - n_extra, min(args.filter_queries, len(data.queries)), args.selectivities,
                      args.k) if "filter" in args.parts else None
    peers = measure.find_peers(args.peers, Task(data, n_rows - n_extra, n_rows, filters), settings)
    results = {
        **about(data), "k": args.k, "clients": args.clients, "targets": args.targets,
        "index": {"m": args.m, "ef_construction": args.ef_construction, "processes": args.processes,
                  "maintenance_work_mem": args.memory},
        "peers": {peer.name: peer.results for peer in peers}}
    results["data"] |= {"rows": n_rows, "built_rows": n_rows - n_extra}
    say(f"{data.name}: {n_rows - n_extra:,} x {data.base.shape[1]}")
    measure.Sequence(peers).run(args.parts)
    if filters:
        results["filter"] = {"target": args.filter_target, **filters.describe()}
        results["filter"]["ratios"] = filter_report.ratios(results)
    return results


def about(data: DataSet) -> dict[str, Any]:
    """What the results of both kinds of run begin with."""
    return {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "machine": machine.describe(), "command": shlex.join(["./dev", "bench"] + sys.argv[1:]),
            "data": {"name": data.name, "metric": data.metric, "dimensions": data.base.shape[1],
                     "queries": len(data.queries)}}


def plan(args: argparse.Namespace, data: DataSet) -> dict[str, Any]:
    n_rows = min(args.n or len(data.base), len(data.base))
    sizes = args.sizes or [10 ** power for power in range(3, 8) if 10 ** power <= n_rows]
    if not sizes or max(sizes) > n_rows:
        raise DataError(f"--sizes: there are {n_rows:,} rows")
    matrix = planner.Matrix(data, sizes, args.selectivities, args.limits, args.timeout, args.memory)
    return {**about(data), "planner": matrix.run()}


def write(results: dict[str, Any], text: str, path: str) -> None:
    with open(path + ".json", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    with open(path + ".md", "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print(text)
    say(f"written: {path}.md and .json")


def draw(results: dict[str, Any], path: str) -> None:
    try:
        from . import plots
        for file in plots.draw(results, path):
            say(f"written: {file}")
    except ImportError as error:
        say(f"no plots: {error}")


def main() -> None:
    args = parser().parse_args()
    try:
        data = open_data_set(args)
        results = plan(args, data) if args.planner else compare(args, data)
    except (DataError, ServerError) as error:
        sys.exit(f"bench: {error}")
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, f"{time.strftime('%Y%m%d-%H%M%S')}-{data.name}")
    if args.planner:
        write(results, planner.markdown(results), path + "-planner")
        return
    write(results, report.markdown(results), path)
    draw(results, path)
    if any("error" in peer for peer in results["peers"].values()):
        sys.exit(1)
