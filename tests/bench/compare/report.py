"""The tables of what compare.py and own.py measured."""

COPYING = "floor, copy 64K"  # splicing small messages costs more, and so does making the pipes
FLOORS = {"down": None, "up": None, "gigabit": None, "connect": COPYING, "crowded": COPYING, "echo": COPYING, "idle": COPYING, "beside": None}


def figure(x):
    if x >= 1000:
        return f"{x:,.0f}"
    return f"{x:.3g}" if x < 100 else f"{x:.0f}"


def ratio_text(x):
    return f"{x:.2f}" if x < 10 else f"{x:.0f}"


def floor_of(measure, by):
    """The floor's figure: of the kind that suits the measure, or of the best kind."""
    named = FLOORS.get(measure)
    floors = [by[n]["median"] for n in by if n.startswith("floor") and (named is None or n == named)]
    return min(floors) if floors else None


def names_of(results):
    names = []
    for by in results.values():
        names += [n for n in by if n not in names]
    return names


def grid(rows, numbers_from=1):
    """A table; the first row is its head."""
    head, *rest = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + " --- |" * numbers_from + " ---: |" * (len(rows[0]) - numbers_from), *rest]) + "\n"


def cell(measure, by, name):
    if name not in by:
        return ""
    floor = floor_of(measure, by)
    ratio = f" ({ratio_text(by[name]['median'] / floor)})" if floor and name.startswith("steerway") else ""
    return figure(by[name]["median"]) + ratio


def table(results, measures):
    """A row a contender, a column a measure. Datagrams have a table of their own."""
    tables = []
    for wanted in (False, True):
        part = {m: by for m, by in results.items() if m.startswith("udp") == wanted}
        if part:
            head = ["", *(f"{measures[m][0]}, {measures[m][1]}" for m in part)]
            tables.append(grid([head, *([n, *(cell(m, by, n) for m, by in part.items())] for n in names_of(part))]))
    return "\n".join(tables)


def not_measured(reasons):
    lines = [f"- {' '.join(reason.split())}\n" for reason in reasons]
    return "\nNot measured:\n\n" + "".join(lines) if lines else ""


def notes(failures, absent, measures):
    """Reasons for missing figures."""
    reasons = [f"{name}, {measures[m][0]}: {why}" for (m, name), why in failures.items()]
    return not_measured(reasons + [f"{name}: it is not here, and its package could not be had" for name in absent])


def groups(results, heads):
    """A table for each group: the measured rows, and what they are compared with first."""
    tables = []
    for group, rows in results.items():
        heading, compared = heads[group]
        columns = list(next(iter(rows.values())))
        body = []
        for row, cells in rows.items():
            ratios = {c: f" ({ratio_text(cells[c]['ratio'])})" if compared and c != columns[0] else "" for c in columns}
            body.append([row, *(figure(cells[c]["median"]) + ratios[c] for c in columns)])
        tables.append(grid([[heading, *columns], *body]))
    return "\n".join(tables)
