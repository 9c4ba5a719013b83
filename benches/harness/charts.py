"""The charts of the report, as SVG."""

import pygal
from pygal.style import CleanStyle

from . import report, settings

FOLDER = settings.BENCHES / "charts"
OURS, POSTGRESQL, OTHERS = "#2b6cb0", "#dd6b20", "#a0aec0"
# In the order of what is drawn, for its legend, too.
STYLE = CleanStyle(
    colors=(OURS, POSTGRESQL, "#2f855a", "#805ad5", "#c53030", "#718096", "#b7791f", "#00a3c4", "#d53f8c", "#1a202c"),
    font_family="sans-serif", label_font_size=12, major_label_font_size=12, value_font_size=11, legend_font_size=12, title_font_size=14)
# Charts lie in the repository: nothing is fetched to see them, and the same figures make the same file.
PLAIN = {"style": STYLE, "js": [], "no_prefix": True, "disable_xml_declaration": True, "pretty_print": True, "width": 860}


def draw(found: dict) -> dict[str, str]:
    """The charts that there are figures for: name → path beside the report."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    drawn = {}
    titles = found["setup"]["titles"]
    for operation, by_name in found["operations"].items():
        mode = next((mode for mode in ("pinned/32", "unpinned/32") if measured(by_name, mode)), "")
        rows = measured(by_name, mode)
        ours = next((rps for name, rps in rows if name == "companion"), None)
        if ours and len(rows) > 1:
            chart = pygal.HorizontalBar(title=f"{operation}: requests a second as shares of Companion's" + dated(found, f"{operation} {mode}"),
                                        show_legend=False, height=80 + 40 * len(rows), **PLAIN)
            # pygal draws the first at the bottom.
            rows.sort(key=lambda row: row[1])
            # Values stand beside names: in short bars, and across a grid, they can't be read.
            chart.x_labels = [f"{titles.get(name, name)}: {rps / ours:.3g}" for name, rps in rows]
            chart.add("", [{"value": rps / ours, "color": OURS if name == "companion" else OTHERS} for name, rps in rows])
            drawn[operation] = save(chart, operation)
    nested = found["operations"].get("nested", {})
    rows = [(name, row["pinned/32"]) for name, row in nested.items() if report.median(row.get("pinned/32", {}), "server_cpu_ms")]
    if rows:
        rows.sort(key=lambda row: -(row[1]["server_cpu_ms"]["median"] + row[1]["postgres_cpu_ms"]["median"]))
        chart = pygal.HorizontalStackedBar(title="nested list: CPU ms a request" + dated(found, "nested pinned/32"), legend_at_bottom=True,
                                           height=120 + 40 * len(rows), **PLAIN)
        chart.x_labels = [f"{titles.get(name, name)}: {row['server_cpu_ms']['median']:.2f} + {row['postgres_cpu_ms']['median']:.2f}"
                          for name, row in rows]
        for label, key in (("server (or pgbench)", "server_cpu_ms"), ("PostgreSQL", "postgres_cpu_ms")):
            chart.add(label, [round(row[key]["median"], 4) for _, row in rows])
        drawn["cpu"] = save(chart, "cpu")
    sizes = found.get("growth", {})
    for operation in ("nested", "flat", "provider", "mine"):
        lines = {}
        for name in dict.fromkeys(name for size in sizes.values() for name in size.get(operation, {})):
            values = [report.median(size.get(operation, {}).get(name, {}).get("pinned/32", {}), "rps") for size in sizes.values()]
            if values[0]:
                lines[titles.get(name, name)] = [one and one / values[0] for one in values]
        if lines:
            chart = pygal.Line(title=f"{operation}: requests a second by rows, first size = 1" + dated(found, "growth"), legend_at_bottom=True,
                               legend_at_bottom_columns=2, range=(0, 1.05 * max(one for line in lines.values() for one in line if one)),
                               height=480, **PLAIN)
            chart.x_labels = [f"{int(size):,}".replace(",", " ") for size in sizes]
            for label, line in lines.items():
                chart.add(label, line)
            drawn[f"growth-{operation}"] = save(chart, f"growth-{operation}")
    return drawn


def dated(found: dict, part: str) -> str:
    """A line below a title that says of which commit and processor the figures are, where they are not the report's."""
    kept = report.older_origin(found, part)
    return f"\n(kept from a run at commit {kept})" if kept else ""


def measured(by_name: dict, mode: str) -> list[tuple[str, float]]:
    found = {name: report.median(row.get(mode, {}), "rps") for name, row in by_name.items()}
    return [(name, rps) for name, rps in found.items() if rps]


def save(chart, name: str) -> str:
    path = FOLDER / f"{name}.svg"
    path.write_text(chart.render(is_unicode=True) + "\n")
    return f"{FOLDER.name}/{path.name}"
