"""Pictures (SVG) of what compare.py and own.py measured: a panel for each measure or group, three beside each other."""

import math

from report import figure, floor_of, ratio_text

GOALS = {"idle": 1024}  # the goal, in the measure's own unit
FLAT = 1.05  # allowed ratio with 10,000 open connections
WIDTH, ACROSS, LABEL, VALUE, LINE, HEAD, CHART = 406, 3, 134, 108, 19, 46, 230
LONGEST = 5  # bars are cut off at this multiple of the floor's bar, or of the shortest
STYLE = ("text{font:12px 'DejaVu Sans',sans-serif;fill:#333;stroke:#fff;stroke-width:3px;paint-order:stroke}.head{font-weight:bold;font-size:13px}.unit{fill:#777}.name{text-anchor:end}"
         ".middle{text-anchor:middle}.floor{fill:#b5b5b5}.ours{fill:#1a7f5a}.peer{fill:#7a9cc6}.cut{fill:#fff}.line{fill:none;stroke-width:2}"
         ".axis{stroke:#999}.mark{stroke:#555;stroke-dasharray:3 3}.goal{stroke:#c0392b;stroke-width:1.5}.goaltext{fill:#c0392b}")
COLOURS = ("#1a7f5a", "#7a5ac6", "#c67a1a")


def text(x, y, what, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{what}</text>'


def rule(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def kind_of(name):
    return next((kind for start, kind in (("floor", "floor"), ("steerway", "ours")) if name.startswith(start)), "peer")


def kind_of_own(name):
    return "floor" if name.startswith(("floor", "(")) else "ours"


def bars(title, unit, figures, kinds, reference=None, goal=None):
    """One panel, (height, parts): the smallest first. reference: what the ratios are to."""
    parts, texts = [], [text(4, 15, title, "head"), text(4, 31, unit, "unit")]
    room, low = WIDTH - LABEL - VALUE, min(figures.values())
    scale = room / min(max(figures.values()), LONGEST * (reference or low))
    bottom = HEAD + LINE * len(figures)
    for i, (name, f) in enumerate(sorted(figures.items(), key=lambda item: item[1])):
        y, long = HEAD + i * LINE, min(f * scale, room)
        ratio = f" ({ratio_text(f / reference)})" if reference else ""
        texts.append(text(LABEL - 6, y + 11, name, "name"))
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{max(1, long):.1f}" height="{LINE - 5}" class="{kinds(name)}"/>')
        if f * scale > room + 1:
            parts.append(f'<path d="M{LABEL + room - 18} {y + 15}l6 -16h4l-6 16z" class="cut"/>')
        texts.append(text(LABEL + long + 5, y + 11, figure(f) + ratio))
    if reference:
        parts.append(rule(LABEL + reference * scale, HEAD - 4, LABEL + reference * scale, bottom, "mark"))
    if goal:
        parts.append(rule(LABEL + goal * scale, HEAD - 4, LABEL + goal * scale, bottom, "goal"))
        texts.append(text(LABEL + goal * scale + 3, HEAD - 6, f"goal {figure(goal)}", "goaltext"))
    return bottom + 16, parts + texts


def curve(title, rows, limit=None):
    """One panel: rows {name: {count: figure}} over a logarithmic axis. limit: a ratio to the first row's first figure."""
    counts = [int(c.replace(",", "")) for c in next(iter(rows.values()))]
    most = 1.25 * max(f for row in rows.values() for f in row.values())
    left, right, top, bottom = 20, WIDTH - 40, 66, CHART - 36
    x = lambda n: left + 14 + (right - left - 14) * (math.log10(n / counts[0]) / math.log10(counts[-1] / counts[0]) if len(counts) > 1 else 0)
    y = lambda f: bottom - (bottom - top) * f / most
    parts = [text(4, 15, title, "head"), rule(left, bottom, right, bottom, "axis")]
    if limit:
        at = y(limit * next(iter(next(iter(rows.values())).values())))
        parts += [rule(left, at, right, at, "goal"), text(right - 2, at - 6, f"goal: below {limit:.2f} of the first", "name goaltext")]
    parts += [text(x(n), bottom + 16, f"{n:,}", "middle unit") for n in counts]
    for i, (name, row) in enumerate(rows.items()):
        points = [(x(n), y(f)) for n, f in zip(counts, row.values())]
        parts.append(f'<path d="M{" L".join(f"{a:.1f} {b:.1f}" for a, b in points)}" class="line" stroke="{COLOURS[i]}"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{COLOURS[i]}"/>' for a, b in points]
        parts += [text(a, b - 8 if i else b + 17, figure(f), "middle") for (a, b), f in zip(points, row.values())]
        parts.append(f'<rect x="4" y="{24 + 15 * i}" width="14" height="4" fill="{COLOURS[i]}"/>' + text(24, 31 + 15 * i, name, "unit"))
    return CHART, parts


def sheet(panels, legend):
    """Panels from left to right, row by row, below a line of text."""
    y, parts = 36, [text(14, 20, legend, "unit")]
    for i in range(0, len(panels), ACROSS):
        row = panels[i:i + ACROSS]
        for j, (_, inside) in enumerate(row):
            parts.append(f'<g transform="translate({10 + j * (WIDTH + 10)} {y})">{"".join(inside)}</g>')
        y += max(height for height, _ in row)
    width = 10 + min(ACROSS, max(1, len(panels))) * (WIDTH + 10)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}">'
            f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')


def plot_peers(results, measures):
    panels = []
    for m, by in results.items():
        figures = {name: f["median"] for name, f in by.items()}
        panels.append(bars(measures[m][0], measures[m][1], figures, kind_of, floor_of(m, by), GOALS.get(m)))
    return sheet(panels, "Less is better. In brackets: the ratio to the floor's figure, which the dashed line marks. Bars with a gap are cut off.")


def plot_own(results, heads):
    panels = []
    for group, rows in results.items():
        plain = {row: {c: f["median"] for c, f in cells.items()} for row, cells in rows.items()}
        if group in ("open", "uplinks"):
            panels.append(curve("cost by " + heads[group][0], plain, FLAT if group == "open" else None))
        elif group == "picks":
            picks = {row: cells["a pick, ns"] for row, cells in plain.items()}
            panels.append(bars("a pick by policy", "ns", picks, kind_of_own))
        else:
            panels += [bars(row, heads[group][0], cells, kind_of_own) for row, cells in plain.items()]
    return sheet(panels, "Our proxy by itself; medians.")
