"""What filtered searches come to: speeds beside each other, and means of their ratios."""

from __future__ import annotations

import math
from typing import Any

Results = dict[str, Any]
Cell = dict[str, Any]


def columns(results: Results) -> dict[str, list[Cell]]:
    """Measured cells by peer and way: "omenvec attributes", …; one of each workload that a peer got through."""
    return {f"{name} {way}": cells for name, peer in results["peers"].items()
            for way, cells in peer.get("filter", {}).get("ways", {}).items()}


def ours(results: Results) -> str | None:
    """The column that the others are compared with: the first."""
    return next(iter(columns(results)), None)


def best(results: Results, peer: str, number: int) -> tuple[str, Cell] | None:
    """A peer's fastest way, and its cell, for a workload: of those with the recall, else the one of most recall."""
    target = results["filter"]["target"]
    ways = {way: cells[number] for way, cells in results["peers"][peer].get("filter", {}).get("ways", {}).items()
            if len(cells) > number}
    if not ways:
        return None
    good = {way: cell for way, cell in ways.items() if cell["recall"] >= target} or {
        way: cell for way, cell in ways.items() if cell["recall"] == max(cell["recall"] for cell in ways.values())}
    return max(good.items(), key=lambda item: speed(item[1]) or 0)


def speed(cell: Cell, clients: str | None = None) -> float | None:
    """tps; without a number of clients, that of the first measured."""
    return next(iter(cell["tps"].values()), None) if clients is None else cell["tps"].get(clients)


def ratios(results: Results) -> list[dict[str, Any]]:
    """How many times faster the first column is than each other one and than each other peer's best way.

    Over the workloads that both answer with the recall wanted: geometric mean and least; by kind of
    workload, too.  missed: workloads that the other does not answer so.
    """
    first = ours(results)
    if first is None:
        return []
    cells = columns(results)
    rivals: dict[str, list[Cell]] = {name: rival for name, rival in cells.items() if name != first}
    for peer in results["peers"]:
        if not first.startswith(peer + " "):
            found = [best(results, peer, number) for number in range(len(cells[first]))]
            if all(found):
                rivals[f"{peer} best"] = [cell for _, cell in found]
    target = results["filter"]["target"]
    return [{"clients": clients, "than": name, **_compare(cells[first], rival, str(clients), target)}
            for clients in results["clients"] for name, rival in rivals.items()
            if any(str(clients) in cell["tps"] for cell in rival)]


def _compare(cells: list[Cell], rivals: list[Cell], clients: str, target: float) -> dict[str, Any]:
    by_kind: dict[str, list[float]] = {}
    for cell, rival in zip(cells, rivals):
        if min(cell["recall"], rival["recall"]) >= target:
            by_kind.setdefault(cell["kind"], []).append(speed(cell, clients) / speed(rival, clients))
    every = sum(by_kind.values(), [])
    return {"mean": geometric_mean(every), "least": min(every, default=None), "compared": len(every),
            "missed": sum(rival["recall"] < target for rival in rivals),
            "by_kind": {kind: geometric_mean(values) for kind, values in by_kind.items()}}


def geometric_mean(values: list[float]) -> float | None:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


# --- the page ----------------------------------------------------------------

def markdown(results: Results) -> list[str]:
    """Lines of the page."""
    first = ours(results)
    if "filter" not in results or first is None:
        return []
    filters = results["filter"]
    lines = ["## Filtered search", "",
             f"{filters['queries']} queries, each with its own condition; {results['k']} neighbours among the rows that"
             f" match. Speeds at recall {filters['target']:g} or more."
             + (" Category and price are the data's own." if filters["payload"] else ""), ""]
    for clients in results["clients"]:
        lines += _speeds(results, str(clients)) + [""]
    return lines + _ratio_table(results) + [""] + _first_column(results, first) + [""] + _indexes(results) + [""]


def _speeds(results: Results, clients: str) -> list[str]:
    """A row a workload, a column a way."""
    shown = {name: cells for name, cells in columns(results).items() if any(clients in cell["tps"] for cell in cells)}
    lines = [f"Queries/s, {clients} client(s); recall in brackets where it is less than wanted,"
             " ! where a query got fewer rows than match:", "",
             "| condition | rows that match | " + " | ".join(shown) + " |", "|---" * (2 + len(shown)) + "|"]
    for number, workload in enumerate(results["filter"]["workloads"]):
        cells = [_speed_text(cells[number], clients, results["filter"]["target"]) if len(cells) > number else "-"
                 for cells in shown.values()]
        lines.append(f"| {_title(workload)} | {_number(workload['matches'])} | " + " | ".join(cells) + " |")
    return lines


def _speed_text(cell: Cell, clients: str, target: float) -> str:
    tps = speed(cell, clients)
    return ("-" if tps is None else _number(tps)) + (f" ({cell['recall']:.3f})" if cell["recall"] < target else "") \
        + ("!" if cell["full"] < 1 else "")


def _title(workload: Results) -> str:
    share = workload["selectivity"]
    return workload["kind"] if share is None else f"{workload['kind']} {100 * share:g} %"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _ratio_table(results: Results) -> list[str]:
    kinds = list(dict.fromkeys(workload["kind"] for workload in results["filter"]["workloads"]))
    lines = [f"How many times faster {ours(results)} is, geometric means over the conditions that both answer with"
             " that recall; a peer's best is, for each condition, its fastest way:", "",
             "| than | clients | all | least | compared | recall missed | " + " | ".join(kinds) + " |",
             "|---" * (6 + len(kinds)) + "|"]
    for ratio in results["filter"]["ratios"]:
        cells = [_times(ratio["mean"]), _times(ratio["least"]), str(ratio["compared"]), str(ratio["missed"])]
        cells += [_times(ratio["by_kind"].get(kind)) for kind in kinds]
        lines.append(f"| {ratio['than']} | {ratio['clients']} | " + " | ".join(cells) + " |")
    return lines


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3g}×"


def _first_column(results: Results, first: str) -> list[str]:
    """The ways of the first peer in full: recall, rows, time, plan."""
    peer = first.split(" ")[0]
    lines = [f"{peer} in full:", "",
             "| condition | way | recall | full | us a query | scans |", "|---" * 6 + "|"]
    for number, workload in enumerate(results["filter"]["workloads"]):
        for way, cells in results["peers"][peer]["filter"]["ways"].items():
            if len(cells) > number:
                cell = cells[number]
                tps = speed(cell)
                scans = ", ".join(f"{plan} {n}" for plan, n in cell.get("plans", {}).items())
                lines.append(f"| {_title(workload)} | {way} | {cell['recall']:.4f} | {100 * cell['full']:.0f} % |"
                             f" {'-' if not tps else _number(1e6 * results['clients'][0] / tps)} | {scans} |")
    return lines


def _indexes(results: Results) -> list[str]:
    rows = results["data"]["built_rows"]
    lines = ["| index | build, s | B/vector |", "|---|---|---|"]
    for name, peer in results["peers"].items():
        for index, built in peer.get("filter", {}).get("indexes", {}).items():
            lines.append(f"| {name} {index} | {built['seconds']:.2f} | {built['bytes'] / rows:,.0f} |")
    return lines
