"""The charts of the report, as SVG."""

import pygal
from pygal.style import CleanStyle

from . import report, settings

FOLDER = settings.BENCHES / "charts"
STYLE = CleanStyle(font_family="sans-serif", label_font_size=12, major_label_font_size=12, value_font_size=11, legend_font_size=12,
                   title_font_size=14)
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
        rows = measured(by_name, "pinned/32") or measured(by_name, "unpinned/32")
        ours = next((rps for name, rps in rows if name == "companion"), None)
        if ours and len(rows) > 1:
            chart = pygal.HorizontalBar(title=f"{operation}: requests a second as shares of Companion's", show_legend=False,
                                        print_values=True, formatter=lambda share: f"{share:.3g}", height=60 + 40 * len(rows), **PLAIN)
            # pygal draws the first at the bottom.
            rows.sort(key=lambda row: row[1])
            chart.x_labels = [titles.get(name, name) for name, _ in rows]
            chart.add("", [{"value": rps / ours, "color": "#2b6cb0" if name == "companion" else "#a0aec0"} for name, rps in rows])
            drawn[operation] = save(chart, operation)
    nested = found["operations"].get("nested", {})
    rows = [(name, row["pinned/32"]) for name, row in nested.items() if report.median(row.get("pinned/32", {}), "server_cpu_ms")]
    if rows:
        rows.sort(key=lambda row: -(row[1]["server_cpu_ms"]["median"] + row[1]["postgres_cpu_ms"]["median"]))
        chart = pygal.HorizontalStackedBar(title="nested list: CPU ms a request", legend_at_bottom=True, height=100 + 40 * len(rows), **PLAIN)
        chart.x_labels = [titles.get(name, name) for name, _ in rows]
        for label, key, color in (("server (or pgbench)", "server_cpu_ms", "#2b6cb0"), ("PostgreSQL", "postgres_cpu_ms", "#dd6b20")):
            chart.add(label, [{"value": round(row[key]["median"], 4), "color": color} for _, row in rows])
        drawn["cpu"] = save(chart, "cpu")
    sizes = found.get("growth")
    if sizes:
        chart = pygal.Line(title="requests a second by rows, first size = 1", legend_at_bottom=True, height=420, **PLAIN)
        chart.x_labels = [f"{int(size):,}".replace(",", " ") for size in sizes]
        for operation in ("nested", "flat", "provider", "mine"):
            for name in ("companion", "pgbench"):
                values = [report.median(sizes[size].get(operation, {}).get(name, {}).get("pinned/32", {}), "rps") for size in sizes]
                if values and values[0]:
                    chart.add(f"{operation}, {titles.get(name, name)}", [one and one / values[0] for one in values])
        drawn["growth"] = save(chart, "growth")
    return drawn


def measured(by_name: dict, mode: str) -> list[tuple[str, float]]:
    found = {name: report.median(row.get(mode, {}), "rps") for name, row in by_name.items()}
    return [(name, rps) for name, rps in found.items() if rps]


def save(chart, name: str) -> str:
    path = FOLDER / f"{name}.svg"
    path.write_text(chart.render(is_unicode=True) + "\n")
    return f"{FOLDER.name}/{path.name}"
