"""The table and the plot of what compare.py measured."""

FLOORS = {"down": None, "up": None, "gigabit": None, "connect": "floor, splice", "crowded": "floor, splice", "echo": "floor, copy 64K",
          "idle": "floor, splice", "beside": None}


def figure(x):
    if x >= 1000:
        return f"{x:,.0f}"
    return f"{x:.3g}" if x < 100 else f"{x:.0f}"


def floor_of(measure, by):
    """The floor's figure: of the kind that suits the measure, or of the best kind."""
    named = FLOORS.get(measure)
    floors = [by[n]["median"] for n in by if n.startswith("floor") and (named is None or n == named)]
    return min(floors) if floors else None


def table(results, measures):
    """A row a contender, a column a measure."""
    names = []
    for by in results.values():
        names += [n for n in by if n not in names]
    rows = ["| | " + " | ".join(f"{measures[m][0]}, {measures[m][1]}" for m in results) + " |", "| --- |" + " ---: |" * len(results)]
    for n in names:
        cells = []
        for m, by in results.items():
            floor = floor_of(m, by)
            ratio = f" ({by[n]['median'] / floor:.2f})" if n in by and floor and n == "steerway" else ""
            cells.append(figure(by[n]["median"]) + ratio if n in by else "")
        rows.append(f"| {n} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def plot(results, measures):
    """Bars, a group a measure; the longest of each group has the full width."""
    width, left, line, y, parts = 760, 190, 18, 10, []
    for m, by in results.items():
        most = max(f["median"] for f in by.values())
        parts.append(f'<text x="10" y="{y + 14}" class="head">{measures[m][0]}, {measures[m][1]}</text>')
        y += 22
        for name, f in sorted(by.items(), key=lambda item: item[1]["median"]):
            kind = "floor" if name.startswith("floor") else "ours" if name.startswith("steerway") else "peer"
            bar = max(1, (width - left - 80) * f["median"] / most)
            parts.append(f'<text x="{left - 8}" y="{y + 13}" class="name">{name}</text>'
                         f'<rect x="{left}" y="{y + 2}" width="{bar:.1f}" height="{line - 5}" class="{kind}"/>'
                         f'<text x="{left + bar + 6:.1f}" y="{y + 13}">{figure(f["median"])}</text>')
            y += line
        y += 12
    style = ("text{font:12px sans-serif;fill:#333}.head{font-weight:bold}.name{text-anchor:end}"
             ".floor{fill:#bbb}.ours{fill:#1a7f5a}.peer{fill:#7a9cc6}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}">'
            f"<style>{style}</style><rect width='100%' height='100%' fill='#fff'/>{''.join(parts)}</svg>\n")
