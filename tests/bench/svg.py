# SPDX-License-Identifier: Apache-2.0
"""Two plots as SVG text, readable on light and dark pages: bars side by side, and lines over a rate."""

import math
from xml.sax.saxutils import escape

COLOURS = {"weir": "#1769aa", "nginx": "#3f9142", "HAProxy": "#c2571a", "other weir": "#7f9fbf",
           "weir full": "#6a3d9a", "nginx+Lua+Redis full": "#8a8a1f"}
FONT = 'font-family="sans-serif" font-size="12"'
WIDTH, LEFT, RIGHT = 760, 190, 60
BAR, BAR_GAP, GROUP_GAP = 13, 2, 12


def text(x, y, words, anchor="start", colour="#333", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {FONT} {more}>{escape(words)}</text>'


def framed(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


def bars(title, groups):
    """`groups`: [(name, [(series, value, label)])]; each group has its own scale, so that small ones can be compared."""
    parts, y = [text(LEFT, 20, title, more='font-weight="bold"')], 36
    for name, rows in groups:
        most = max(value for _, value, _ in rows)
        parts.append(text(LEFT - 8, y + len(rows) * (BAR + BAR_GAP) / 2 + 3, name, "end"))
        for series, value, label in rows:
            length = (WIDTH - LEFT - RIGHT - 130) * value / most
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[series]}"/>')
            parts.append(text(LEFT + length + 6, y + BAR - 2, label))
            y += BAR + BAR_GAP
        y += GROUP_GAP
    return framed(WIDTH, y, parts)


def lines(title, across, up, series):
    """`series`: [(name, dashed, [(x, y)])], y > 0 on a logarithmic scale."""
    height, top, bottom, left, right = 380, 36, 46, 70, 230
    xs = [x for _, _, points in series for x, _ in points]
    ys = [y for _, _, points in series for _, y in points]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    high = max(high, low + 1)

    def place(x, y):
        return (left + (WIDTH - left - right) * x / max(xs),
                height - bottom - (height - top - bottom) * (math.log10(y) - low) / (high - low))
    parts = [text(left, 20, f"{title}, {up}", more='font-weight="bold"')]
    for power in range(low, high + 1):
        x, y = place(0, 10**power)
        parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{WIDTH - right}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(x - 6, y + 4, f"{10**power:,}" if power >= 0 else f"{10**power}", "end"))
    for x in sorted(set(xs)):
        at, base = place(x, 10**low)
        parts.append(f'<line x1="{at:.1f}" y1="{base:.1f}" x2="{at:.1f}" y2="{base + 4:.1f}" stroke="#999"/>')
        parts.append(text(at, base + 18, f"{x:,}", "middle"))
    parts.append(text((left + WIDTH - right) / 2, height - 8, across, "middle"))
    for number, (name, dashed, points) in enumerate(series):
        colour, dash = COLOURS[name.split(" p")[0]], ' stroke-dasharray="5 4"' if dashed else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        legend = top + 14 + number * 18
        parts.append(f'<line x1="{WIDTH - right + 14}" y1="{legend - 4}" x2="{WIDTH - right + 44}" y2="{legend - 4}" '
                     f'stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(text(WIDTH - right + 50, legend, name))
    return framed(WIDTH, height, parts)
