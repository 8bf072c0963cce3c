"""Results as a page of Markdown."""

import math


def markdown(results):
    data = results["data"]
    machine = results["machine"]
    index = results["index"]
    peers = results["peers"]
    settings = ", ".join(f"{name} {value}" for name, value in machine["settings"].items())
    lines = [
        f"# {data['name']}: {data['built_rows']:,} x {data['dimensions']}, {data['metric']}",
        "",
        f"{results['date']}, commit {machine['commit'] or 'unknown'}; `{results['command']}`",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}; {machine['system']};"
        f" PostgreSQL {machine['server']} ({settings}).",
        f"m {index['m']}, ef_construction {index['ef_construction']}, {index['processes']} process(es),"
        f" maintenance_work_mem {index['maintenance_work_mem']}; {data['queries']:,} queries,"
        f" {results['clients']} client(s), prepared.",
        ""]
    lines += _summary(results, peers)
    for name, peer in peers.items():
        if peer.get("search"):
            lines += _curve(f"{name} {peer.get('version', '')}: recall@{results['k']} and speed", peer["search"])
        if "error" in peer:
            lines += [f"**{name} failed:** {peer['error']}", ""]
    return "\n".join(lines)


def speed_at(points, target):
    """Transactions a second where the curve crosses a recall; None if it does not.

    Between two points speed is taken to fall geometrically with recall.
    """
    curve = sorted(points, key=lambda point: point["recall"])
    if not curve or curve[-1]["recall"] < target:
        return None
    if curve[0]["recall"] >= target:
        return max(point["tps"] for point in curve)
    for low, high in zip(curve, curve[1:]):
        if low["recall"] < target <= high["recall"]:
            share = (target - low["recall"]) / (high["recall"] - low["recall"])
            return math.exp((1 - share) * math.log(low["tps"]) + share * math.log(high["tps"]))
    return None


def _summary(results, peers):
    """A row a figure, a column a peer, and how many times the first is better."""
    target = results["target_recall"]
    rows = [
        ("build, vectors/s", _at("build", "vectors_per_second"), True),
        ("index, B/vector", _at("build", "bytes_per_vector"), False),
        ("WAL of the build, B/vector",
         lambda peer: peer["build"]["wal_bytes"] / results["data"]["built_rows"], False),
        (f"queries/s at recall {target}", lambda peer: speed_at(peer["search"], target), True),
        ("insert, rows/s", _at("insert", "rows_per_second"), True),
        ("insert, B of WAL a row", _at("insert", "wal_bytes_per_row"), False),
        ("... just after a checkpoint", _at("insert", "wal_bytes_per_row_after_checkpoint"), False),
        ("... without the index", _at("insert", "wal_bytes_per_row_without_index"), False),
        ("recall at ef 40 after inserts", lambda peer: peer["search_after_insert"][0]["recall"], True),
        ("queries/s at ef 40 after inserts", lambda peer: peer["search_after_insert"][0]["tps"], True),
        ("vacuum after deleting 1 %, s", _at("vacuum", "seconds"), False),
        ("... MB of WAL", lambda peer: peer["vacuum"]["wal_bytes"] / 1e6, False),
        ("recall at ef 40 after vacuum", lambda peer: peer["search_after_vacuum"][0]["recall"], True),
    ]
    compare = len(peers) == 2
    lines = ["| | " + " | ".join(f"{name} {peer.get('version', '')}" for name, peer in peers.items())
             + (" | times better |" if compare else " |"),
             "|---" * (1 + len(peers) + compare) + "|"]
    for title, figure, more_is_better in rows:
        values = [_try(figure, peer) for peer in peers.values()]
        if all(value is None for value in values):
            continue
        cells = [_number(value) for value in values]
        if compare:
            cells.append(_times(values, more_is_better))
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines + [""]


def _at(part, figure):
    return lambda peer: peer[part][figure]


def _try(figure, peer):
    try:
        return figure(peer)
    except KeyError:
        return None                 # that part was not measured


def _times(values, more_is_better):
    ours, theirs = values
    if not ours or not theirs:
        return ""
    return f"{ours / theirs if more_is_better else theirs / ours:.2f}"


def _number(value):
    if value is None:
        return "-"
    if abs(value) < 10:
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _curve(title, points):
    lines = [f"## {title}", "", "| ef_search | recall | queries/s | us a query |", "|---|---|---|---|"]
    lines += [f"| {point['ef_search']} | {point['recall']:.4f} | {point['tps']:,.0f} | {point['latency_us']:,.0f} |"
              for point in points]
    return lines + [""]
