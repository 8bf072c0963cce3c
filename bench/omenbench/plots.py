"""Results as SVG pictures."""

from __future__ import annotations

from typing import Any

from . import filter_report

Results = dict[str, Any]

BARS = [("vectors_per_second", "build, vectors/s"), ("memory_bytes_per_vector", "peak memory, B/vector"),
        ("bytes_per_vector", "index, B/vector")]


def draw(results: Results, path: str) -> list[str]:
    """Writes PATH-search.svg, PATH-build.svg and PATH-filter.svg, as far as there are figures; returns the files."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "omenbench"       # the same figures, the same file
    peers = {name: peer for name, peer in results["peers"].items() if "build" in peer}
    written = []
    if any(peer.get("search") for peer in peers.values()):
        written.append(_save(_curves(results, peers), path + "-search.svg"))
    if peers:
        written.append(_save(_bars(results, peers), path + "-build.svg"))
    if "filter" in results and filter_report.ours(results):
        written.append(_save(_filtered(results), path + "-filter.svg"))
    return written


def _title(results: Results) -> str:
    data = results["data"]
    return f"{data['name']}, {data['built_rows']:,} × {data['dimensions']}, {data['metric']}"


def _curves(results: Results, peers: Results) -> Any:
    """A panel for each number of clients; the miss rate is logarithmic, so that .9, .99, .999 are equally apart."""
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(1, len(results["clients"]), figsize=(6 * len(results["clients"]), 4.5),
                                     squeeze=False, sharey=True, layout="constrained")
    for panel, clients in zip(panels[0], results["clients"]):
        for name, peer in peers.items():
            points = sorted((point["recall"], point["tps"][str(clients)]) for point in peer.get("search", [])
                            if str(clients) in point["tps"])
            if points:
                panel.plot(*zip(*points), marker="o", markersize=3, label=name,
                           linestyle="--" if peer.get("in_process") else "-")
        _recall_axis(panel, results["k"])
        panel.set_yscale("log")
        panel.set_ylabel("queries/s")
        panel.set_title(f"{clients} client(s)")
        panel.grid(True, which="both", alpha=0.3)
    panels[0][0].legend(title="dashed: in process", fontsize="small")
    figure.suptitle(_title(results))
    return figure


def _recall_axis(panel: Any, k: int) -> None:
    least_miss = 1e-4
    panel.set_xscale("function", functions=(_miss_to_axis(least_miss), _axis_to_miss(least_miss)))
    ticks = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0]
    low = min(panel.get_xlim()[0], 0.9)
    panel.set_xticks([tick for tick in ticks if tick >= low], [f"{tick:g}" for tick in ticks if tick >= low])
    panel.set_xlabel(f"recall@{k}")


def _miss_to_axis(least: float) -> Any:
    import numpy as np
    return lambda recall: -np.log10(np.maximum(1 - np.asarray(recall), 0) + least)


def _axis_to_miss(least: float) -> Any:
    import numpy as np
    return lambda place: 1 + least - 10 ** -np.asarray(place, float)


def _bars(results: Results, peers: Results) -> Any:
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(1, len(BARS), figsize=(4.5 * len(BARS), 0.8 + 0.4 * len(peers)),
                                     sharey=True, layout="constrained")
    for panel, (key, title) in zip(panels, BARS):
        values = [peer["build"].get(key) or 0 for peer in peers.values()]
        bars = panel.barh(list(peers), values)
        panel.bar_label(bars, [f"{value:,.0f}" if value else "-" for value in values], padding=2, fontsize="small")
        panel.margins(x=0.2)
        panel.set_title(title)
    panels[0].invert_yaxis()
    figure.suptitle(_title(results))
    return figure


def _filtered(results: Results) -> Any:
    """Speed above, recall below, by selectivity; a panel for each relation of the matches to the query."""
    from matplotlib import pyplot
    kinds = list(dict.fromkeys(workload["kind"] for workload in results["filter"]["workloads"]
                               if workload["selectivity"] is not None))
    figure, panels = pyplot.subplots(2, len(kinds), figsize=(5 * len(kinds), 7), squeeze=False, sharex=True,
                                     sharey="row", layout="constrained")
    for (upper, lower), kind in zip(panels.T, kinds):
        for name, cells in _filter_lines(results).items():
            points = sorted((cell["selectivity"], filter_report.speed(cell), cell["recall"]) for cell in cells
                            if cell["kind"] == kind and cell["selectivity"] is not None)
            if points:
                shares, speeds, recalls = zip(*points)
                style = "--" if results["peers"][name.split(" ")[0]].get("in_process") else "-"
                upper.plot(shares, speeds, marker="o", markersize=3, label=name, linestyle=style)
                lower.plot(shares, recalls, marker="o", markersize=3, linestyle=style)
        upper.set_title(kind)
        upper.set_yscale("log")
        lower.set_xscale("log")
        lower.set_xlabel("share of the rows that match")
        lower.axhline(results["filter"]["target"], color="grey", linewidth=0.8)
        for panel in (upper, lower):
            panel.grid(True, which="both", alpha=0.3)
    panels[0][0].set_ylabel(f"queries/s, {results['clients'][0]} client(s)")
    panels[1][0].set_ylabel(f"recall@{results['k']}")
    panels[0][0].legend(title="dashed: in process", fontsize="small")
    figure.suptitle(_title(results) + ", filtered")
    return figure


def _filter_lines(results: Results) -> dict[str, list[Any]]:
    """All ways of the first peer, the best one of each other."""
    first = filter_report.ours(results).split(" ")[0]
    lines = {name: cells for name, cells in filter_report.columns(results).items() if name.startswith(first + " ")}
    for peer in results["peers"]:
        found = [filter_report.best(results, peer, number) for number in range(len(results["filter"]["workloads"]))]
        if peer != first and all(found):
            lines[f"{peer} best"] = [cell for _, cell in found]
    return lines


def _save(figure: Any, path: str) -> str:
    from matplotlib import pyplot
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
