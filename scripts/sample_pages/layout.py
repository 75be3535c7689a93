"""Drawing for the sample documents: prose, labels, tables and charts on A4 pages, in points from the top left.

Prose goes through MuPDF's HTML layout (Charis SIL); everything placed by hand is set in Nimbus Sans. Both fonts come
with MuPDF, so that the samples look the same wherever they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pymupdf

Colour = tuple[float, float, float]
Align = Literal["left", "right", "centre"]

WIDTH, HEIGHT = 595.0, 842.0
LEFT, RIGHT, BOTTOM = 64.0, 531.0, 778.0
INK: Colour = (0.09, 0.12, 0.13)
GREY: Colour = (0.40, 0.45, 0.46)
LINE: Colour = (0.84, 0.86, 0.86)
WHITE: Colour = (1, 1, 1)

FONTS = {"sans": "helv", "bold": "hebo", "mono": "cour"}
CSS = """
* { font-family: serif; font-size: %(size)spx; line-height: %(leading)s; color: %(colour)s; }
p { margin: 0 0 %(gap)spx 0; }
ol, ul { margin: 0; }
li { margin: 0 0 %(small)spx 0; }
b { font-weight: bold; }
"""


def new_page(document: Any) -> Any:
    """An empty A4 page with the fonts for labels."""
    page = document.new_page(width=WIDTH, height=HEIGHT)
    for name, builtin in FONTS.items():
        page.insert_font(fontname=name, fontbuffer=pymupdf.Font(builtin).buffer)
    return page


def furniture(page: Any, left: str, right: str, number: int) -> None:
    """Running head with a hairline, and the page number at the foot."""
    label(page, LEFT, 48, left, 7.6, GREY)
    label(page, RIGHT, 48, right, 7.6, GREY, align="right")
    page.draw_line((LEFT, 56), (RIGHT, 56), color=LINE, width=0.6)
    label(page, RIGHT, 806, str(number), 8, INK, align="right")


def label(
    page: Any,
    x: float,
    y: float,
    text: str,
    size: float,
    colour: Colour = INK,
    font: str = "sans",
    align: Align = "left",
) -> None:
    """One line of text with its baseline at ``y``, starting, ending or centred at ``x``."""
    width = pymupdf.Font(FONTS[font]).text_length(text, size)
    start = x - {"left": 0.0, "right": width, "centre": width / 2}[align]
    page.insert_text((start, y), text, fontname=font, fontsize=size, color=colour)


def prose(
    page: Any,
    y: float,
    html: str,
    *,
    x: float = LEFT,
    width: float = RIGHT - LEFT,
    size: float = 11,
    leading: float = 1.48,
    colour: Colour = INK,
) -> float:
    """Sets HTML from ``y`` down and returns where it ends; raises ValueError where it would leave the page."""
    style = CSS % {
        "size": size,
        "leading": leading,
        "gap": size * 0.72,
        "small": size * 0.42,
        "colour": "#" + "".join(f"{round(part * 255):02x}" for part in colour),
    }
    room = pymupdf.Rect(x - 1, y, x - 1 + width, BOTTOM + 10)
    spare, _ = page.insert_htmlbox(room, html, css=style, scale_low=1)
    if spare < 0:
        raise ValueError(f"this text does not fit on its page from y = {y:.0f}: {html[:60]}…")
    return float(room.y1 - spare)


def title(page: Any, y: float, text: str) -> float:
    """A page's title in serif, and where it ends."""
    return prose(page, y, f"<p>{text}</p>", size=29, leading=1.15) + 2


def heading(page: Any, y: float, text: str, colour: Colour) -> float:
    """A heading in bold sans with its baseline 12 points below ``y``; returns where text may start."""
    label(page, LEFT, y + 12, text, 11.4, colour, "bold")
    return y + 21


def table(
    page: Any,
    y: float,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    widths: Sequence[float],
    align: Sequence[Align] | None = None,
    row_height: float = 19,
    accent: Colour,
    bold_rows: Sequence[int] = (),
    tint_column: int | None = None,
) -> float:
    """A ruled table of one-line cells; text columns to the left, numbers to the right unless told. Returns its end."""
    aligns = align or ["left", *["right"] * (len(head) - 1)]
    edges = [LEFT + sum(widths[:i]) for i in range(len(widths) + 1)]
    end = y + row_height * (len(rows) + 1)
    if tint_column is not None:
        area = pymupdf.Rect(edges[tint_column] + 8, y - 2, edges[tint_column + 1] + 6, end)
        page.draw_rect(area, color=None, fill=tuple(1 - (1 - part) * 0.09 for part in accent))
    for number, cells in enumerate([head, *rows]):
        top = y + number * row_height
        font = "bold" if number == 0 or number - 1 in bold_rows else "sans"
        colour = accent if number == 0 else INK
        for i, (cell, side) in enumerate(zip(cells, aligns, strict=True)):
            at = {"left": edges[i], "right": edges[i + 1], "centre": (edges[i] + edges[i + 1]) / 2}[side]
            label(page, at, top + row_height * 0.66, cell, 8.8, colour, font, side)
        rule = (accent, 1.1) if number == 0 else (LINE, 0.5)
        page.draw_line((LEFT, top + row_height), (edges[-1], top + row_height), color=rule[0], width=rule[1])
    return end


def text_table(
    page: Any, y: float, head: Sequence[str], rows: Sequence[Sequence[str]], *, widths: Sequence[float], accent: Colour
) -> float:
    """A table whose cells are wrapped text. Returns its end."""
    edges = [LEFT + sum(widths[:i]) for i in range(len(widths))]
    for edge, cell in zip(edges, head, strict=True):
        label(page, edge, y + 12, cell, 8.8, accent, "bold")
    y += 19
    page.draw_line((LEFT, y), (LEFT + sum(widths), y), color=accent, width=1.1)
    for row in rows:
        cells = zip(edges, widths, row, strict=True)
        y = max(prose(page, y + 6, f"<p>{t}</p>", x=e, width=w - 12, size=9.2, leading=1.36) for e, w, t in cells)
        page.draw_line((LEFT, y), (LEFT + sum(widths), y), color=LINE, width=0.5)
    return y


def axes(page: Any, area: Any, caption: str, top: float, step: float, unit: str) -> Callable[[float], float]:
    """Caption, grid lines from 0 to ``top`` and their figures; returns the height at which a value is drawn."""

    def height(value: float) -> float:
        return float(area.y1 - (area.y1 - area.y0) * value / top)

    label(page, area.x0 - 24, area.y0 - 20, caption, 9.2, INK, "bold")
    for i in range(int(top / step) + 1):
        y = height(i * step)
        page.draw_line((area.x0, y), (area.x1, y), color=INK if i == 0 else LINE, width=0.8 if i == 0 else 0.5)
        label(page, area.x0 - 6, y + 2.8, f"{i * step:g}{unit}", 7.8, GREY, align="right")
    return height


def bar_chart(
    page: Any,
    area: Any,
    caption: str,
    bars: Sequence[tuple[str, float, Colour]],
    *,
    top: float,
    step: float,
) -> None:
    """Bars with their value above and their name below; an axis from 0 to ``top``."""
    height = axes(page, area, caption, top, step, "")
    pitch = (area.x1 - area.x0) / len(bars)
    for i, (name, value, colour) in enumerate(bars):
        middle = area.x0 + pitch * (i + 0.5)
        page.draw_rect((middle - pitch * 0.29, height(value), middle + pitch * 0.29, area.y1), color=None, fill=colour)
        label(page, middle, height(value) - 5, f"{value:g}", 8.4, INK, "bold", "centre")
        label(page, middle, area.y1 + 13, name, 8.4, GREY, align="centre")


def line_chart(
    page: Any,
    area: Any,
    caption: str,
    points: Sequence[tuple[str, float]],
    *,
    top: float,
    step: float,
    colour: Colour,
) -> None:
    """One line with dots, each value in percent above its dot."""
    height = axes(page, area, caption, top, step, " %")
    pitch = (area.x1 - area.x0) / len(points)
    dots = [pymupdf.Point(area.x0 + pitch * (i + 0.5), height(value)) for i, (_, value) in enumerate(points)]
    page.draw_polyline(dots, color=colour, width=1.8)
    for dot, (name, value) in zip(dots, points, strict=True):
        page.draw_circle(dot, 3, color=WHITE, fill=colour, width=1)
        label(page, dot.x, dot.y - 8, f"{value:g}", 8.4, INK, "bold", "centre")
        label(page, dot.x, area.y1 + 13, name, 8.4, GREY, align="centre")
