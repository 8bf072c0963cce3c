"""Results as a page of Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import filter_report

Results = dict[str, Any]
Figure = Callable[[Results], "float | None"]


def speed_at(points: list[Results], target: float, clients: str | None = None) -> float | None:
    """Queries a second where the curve reaches a recall; None if it does not.

    clients: a key of "tps"; None: many queries in one statement.  Between two
    points speed is taken to fall geometrically with recall.
    """
    def speed(point: Results) -> float:
        return point["lateral_per_second"] if clients is None else point["tps"][clients]

    curve = sorted(points, key=lambda point: (point["recall"], -speed(point)))
    if not curve or curve[-1]["recall"] < target:
        return None
    enough = [point for point in curve if point["recall"] >= target]
    best = max(map(speed, enough))          # a point beyond may be the faster one
    below = [point for point in curve if point["recall"] < target]
    if not below:
        return best
    low, high = below[-1], enough[0]
    share = (target - low["recall"]) / (high["recall"] - low["recall"])
    return max(best, math.exp((1 - share) * math.log(speed(low)) + share * math.log(speed(high))))


def markdown(results: Results) -> str:
    """The page: how it was measured, a summary, the curves."""
    lines = _head(results) + _summary(results)
    for name, peer in results["peers"].items():
        if peer.get("search"):
            lines += _curve(results, name, peer)
        if "error" in peer:
            lines += [f"**{name} failed:** {peer['error']}", ""]
    return "\n".join(lines + filter_report.markdown(results))


def _head(results: Results) -> list[str]:
    data, index = results["data"], results["index"]
    return [
        f"# {data['name']}: {data['built_rows']:,} x {data['dimensions']}, {data['metric']}", "",
        *machine_lines(results),
        f"m {index['m']}, ef_construction {index['ef_construction']}, {index['processes']} process(es) or thread(s)"
        f" build, maintenance_work_mem {index['maintenance_work_mem']}; {data['queries']:,} queries,"
        f" {results['k']} neighbours, prepared.", ""]


def machine_lines(results: Results) -> list[str]:
    machine = results["machine"]
    settings = ", ".join(f"{name} {value}" for name, value in machine["settings"].items())
    return [
        f"{results['date']}, commit {machine['commit'] or 'unknown'}; `{results['command']}`", "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}, load {machine['load']:.1f} at the start;"
        f" {machine['system']}; PostgreSQL {machine['server']} ({settings})."]


def _figures(results: Results) -> list[tuple[str, Figure, bool | None]]:
    """Title, what to take from a peer's results, whether more is better (None: no ratio)."""
    figures: list[tuple[str, Figure, bool | None]] = [
        ("build, vectors/s", _at("build", "vectors_per_second"), True),
        ("... peak memory, B/vector", _at("build", "memory_bytes_per_vector"), False),
        ("... WAL, B/vector", lambda peer: peer["build"]["wal_bytes"] / peer["build"]["rows"], False),
        ("index, B/vector", _at("build", "bytes_per_vector"), False)]
    for target in results["targets"]:
        for clients in results["clients"]:
            figures.append((f"queries/s at recall {target:g}, {clients} client(s)",
                            lambda peer, t=target, c=str(clients): speed_at(peer["search"], t, c), True))
        figures.append(("... in one statement (LATERAL)",
                        lambda peer, t=target: speed_at(peer["search"], t), True))
    first = str(results["clients"][0])
    return figures + [
        ("recall without ef_search", _point("search_default", "recall"), None),
        ("... queries/s", lambda peer: peer["search_default"][0]["tps"][first], True),
        ("... queries/s, unprepared", _point("search_default", "unprepared_tps"), True),
        ("insert, rows/s", _at("insert", "rows_per_second"), True),
        ("... until the index is maintained", _at("insert", "rows_per_second_maintained"), True),
        ("... B of WAL a row", _at("insert", "wal_bytes_per_row"), False),
        ("... maintenance included", _at("insert", "wal_bytes_per_row_maintained"), False),
        ("... just after a checkpoint", _at("insert", "wal_bytes_per_row_after_checkpoint"), False),
        ("... without the index", _at("insert", "wal_bytes_per_row_without_index"), False),
        ("a reader before, p50 ms", lambda peer: peer["insert"]["reader"]["before"]["p50_ms"], False),
        ("... p99 ms", lambda peer: peer["insert"]["reader"]["before"]["p99_ms"], False),
        ("a reader meanwhile, p50 ms", lambda peer: peer["insert"]["reader"]["meanwhile"]["p50_ms"], False),
        ("... p99 ms", lambda peer: peer["insert"]["reader"]["meanwhile"]["p99_ms"], False),
        ("insert one by one, rows/s", _at("insert", "singles_per_second"), True),
        ("... B of WAL a row", _at("insert", "wal_bytes_per_single"), False),
        ("... rows/s without the index", _at("insert", "singles_per_second_without_index"), None),
        ("recall without ef_search after inserts", _point("search_default_after_insert", "recall"), None),
        ("recall at ef 40 after inserts", _point("search_after_insert", "recall"), None),
        ("... queries/s", lambda peer: peer["search_after_insert"][0]["tps"][first], True),
        ("vacuum after deleting 1 %, s", _at("vacuum", "seconds"), False),
        ("... MB of WAL", lambda peer: peer["vacuum"]["wal_bytes"] / 1e6, False),
        ("... s in the index", _at("vacuum", "index_seconds"), False),
        ("... MB of the index's WAL", lambda peer: peer["vacuum"]["index_wal_bytes"] / 1e6, False),
        ("... accesses to the index's blocks", _at("vacuum", "index_blocks"), False),
        ("recall without ef_search after vacuum", _point("search_default_after_vacuum", "recall"), None),
        ("recall at ef 40 after vacuum", _point("search_after_vacuum", "recall"), None),
        ("... queries/s", lambda peer: peer["search_after_vacuum"][0]["tps"][first], True)]


def _summary(results: Results) -> list[str]:
    """A row a figure, a column a peer; in brackets, how many times the first peer is better."""
    peers = results["peers"]
    lines = ["| | " + " | ".join(f"{name} {peer.get('version', '')}".strip() for name, peer in peers.items()) + " |",
             "|---" * (1 + len(peers)) + "|"]
    for title, figure, more_is_better in _figures(results):
        values = [_try(figure, peer) for peer in peers.values()]
        if all(value is None for value in values):
            continue
        cells = [number(values[0])] + [number(value) + _times(values[0], value, more_is_better)
                                       for value in values[1:]]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines + [""] if len(lines) > 2 else []


def _at(part: str, figure: str) -> Figure:
    return lambda peer: peer[part][figure]


def _point(curve: str, figure: str) -> Figure:
    return lambda peer: peer[curve][0][figure]


def _try(figure: Figure, peer: Results) -> float | None:
    try:
        return figure(peer)
    except KeyError:
        return None                 # that part was not measured


def _times(ours: float | None, theirs: float | None, more_is_better: bool | None) -> str:
    if not ours or not theirs or more_is_better is None:
        return ""
    ratio = ours / theirs if more_is_better else theirs / ours
    return f" ({ratio:.0f}×)" if ratio >= 10 else f" ({ratio:.2g}×)"


def number(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) < 10:
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _curve(results: Results, name: str, peer: Results) -> list[str]:
    clients = [str(clients) for clients in results["clients"]]
    lateral = "lateral_per_second" in peer["search"][0]
    titles = ["ef_search", f"recall@{results['k']}"] + [f"queries/s, {n} client(s)" for n in clients] + ["us a query"]
    titles += ["in one statement"] if lateral else []
    lines = [f"## {name} {peer.get('version', '')}".rstrip(), "",
             "| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for point in peer["search"] + peer.get("search_default", []):
        first = point["tps"].get(clients[0])
        cells = [str(point["ef_search"]), f"{point['recall']:.4f}"]
        cells += [number(point["tps"].get(n)) for n in clients]
        cells.append(number(first and 1e6 * int(clients[0]) / first))
        cells += [number(point["lateral_per_second"])] if lateral else []
        lines.append("| " + " | ".join(cells) + " |")
    return lines + [""]
