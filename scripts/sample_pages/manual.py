"""The manual of the Dunnock W3, a weather station that does not exist: six pages with a labelled diagram and tables."""

from __future__ import annotations

import math
from typing import Any

import pymupdf
from sample_pages.layout import (
    GREY,
    HEIGHT,
    INK,
    LEFT,
    LINE,
    RIGHT,
    WHITE,
    WIDTH,
    furniture,
    heading,
    label,
    new_page,
    prose,
    table,
    text_table,
    title,
)

SLATE = (0.20, 0.25, 0.44)
PANEL = (0.945, 0.95, 0.965)
TITLE = "Dunnock W3 weather station: Manual"

PARTS = (
    ("Wind cups", "wind speed"),
    ("Wind vane", "wind direction"),
    ("Solar panel", "charges the battery"),
    ("Radiation shield", "temperature and humidity"),
    ("Rain gauge", "tipping bucket behind a leaf grid"),
    ("Radio housing", "battery, antenna, barometer"),
    ("Pairing button", "under the rubber cap"),
    ("Mast clamp", "two bolts, 10 mm spanner"),
)


def manual() -> Any:
    """The whole document."""
    document = pymupdf.open()
    cover(document)
    for number, draw in enumerate((parts, setup, specifications, troubleshooting, maintenance), start=2):
        page = new_page(document)
        furniture(page, "Dunnock W3 weather station", "Manual, edition 4", number)
        draw(page)
    return document


def cover(document: Any) -> None:
    page = new_page(document)
    page.draw_rect((0, 0, WIDTH + 1, HEIGHT), color=None, fill=PANEL)
    label(page, LEFT, 84, "Aldermoor Instruments", 12, SLATE, "bold")
    prose(page, 122, "<p>Dunnock W3</p>", size=46, leading=1.1, colour=INK)
    label(page, LEFT, 196, "Weather station: manual, edition 4", 12, GREY)
    station(page, 300, 292, 1.32)
    contents = (
        ("Parts", 2),
        ("Setting up", 3),
        ("Specifications", 4),
        ("When something is wrong", 5),
        ("Maintenance", 6),
    )
    for i, (name, number) in enumerate(contents):
        label(page, LEFT, 700 + i * 17, name, 9.4)
        label(page, LEFT + 160, 700 + i * 17, str(number), 9.4, align="right")
    label(page, RIGHT, 768, "Keep this manual with the station.", 9, GREY, align="right")


def station(page: Any, x: float, y: float, scale: float) -> list[tuple[float, float]]:
    """Draws the station with its mast at ``x`` and returns where the parts are, in the order of `PARTS`."""

    def at(dx: float, dy: float) -> tuple[float, float]:
        return x + dx * scale, y + dy * scale

    def shape(points: list[tuple[float, float]], fill: tuple[float, float, float] | None = WHITE) -> None:
        outline = [at(*point) for point in points]
        page.draw_polyline(outline, color=INK, fill=fill, width=0.9 * scale, closePath=True)

    def box(x0: float, y0: float, x1: float, y1: float, fill: tuple[float, float, float] = WHITE) -> None:
        shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill)

    box(-4, 20, 4, 290, (0.80, 0.82, 0.86))  # mast
    box(-92, 16, 92, 23, (0.88, 0.90, 0.93))  # cross arm
    box(-87, -10, -83, 16)  # shaft of the wind cups
    for dx in (-30, 22, 4):
        page.draw_line(at(-85, -10), at(-85 + dx, -10), color=INK, width=1.2 * scale)
        cup(page, at(-85 + dx, -10), 9.5 * scale * (0.75 if abs(dx) < 10 else 1), dx < 0)
    page.draw_circle(at(-85, -11), 4 * scale, color=INK, fill=SLATE, width=0.9 * scale)
    box(83, -10, 87, 16)  # shaft of the vane
    page.draw_line(at(48, -10), at(112, -10), color=INK, width=1.6 * scale)
    shape([(40, -10), (54, -16), (54, -4)], SLATE)
    shape([(98, -10), (108, -28), (128, -28), (120, -10), (128, 8), (108, 8)])
    shape([(-72, 60), (-18, 42), (-10, 76), (-64, 94)], (0.30, 0.36, 0.56))  # solar panel
    for i in range(1, 4):
        page.draw_line(
            at(-72 + 13.5 * i, 60 - 4.5 * i), at(-64 + 13.5 * i, 94 - 4.5 * i), color=WHITE, width=0.5 * scale
        )
    page.draw_line(at(-68, 77), at(-14, 59), color=WHITE, width=0.5 * scale)
    box(-16, 66, -4, 71, (0.88, 0.90, 0.93))
    box(4, 64, 44, 69, (0.88, 0.90, 0.93))  # arm of the shield
    for i in range(6):
        top = 60 + i * 9.5
        shape([(40, top), (80, top), (86, top + 6.5), (34, top + 6.5)])
    box(4, 168, 50, 174, (0.88, 0.90, 0.93))  # arm of the rain gauge
    shape([(44, 140), (94, 140), (90, 152), (90, 196), (48, 196), (48, 152)])
    page.draw_line(at(48, 152), at(90, 152), color=INK, width=0.7 * scale)
    for i in range(5):
        page.draw_line(at(50 + 9.4 * i, 140), at(50 + 9.4 * i, 133 if i % 2 else 136), color=INK, width=0.7 * scale)
    box(-40, 150, 0, 214, (0.93, 0.94, 0.96))  # radio housing
    page.draw_line(at(-34, 150), at(-34, 120), color=INK, width=2.2 * scale)
    for i in range(3):
        page.draw_line(at(-32, 160 + 5 * i), at(-8, 160 + 5 * i), color=GREY, width=0.6 * scale)
    page.draw_circle(at(-20, 200), 5 * scale, color=INK, fill=SLATE, width=0.9 * scale)
    box(-14, 244, 14, 262, (0.70, 0.73, 0.79))  # clamp
    for dx in (-10, 10):
        page.draw_circle(at(dx, 253), 3 * scale, color=INK, fill=WHITE, width=0.8 * scale)
    anchors = ((-115, -10), (118, -20), (-62, 72), (80, 86), (84, 176), (-36, 168), (-20, 200), (14, 253))
    return [at(*anchor) for anchor in anchors]


def cup(page: Any, centre: tuple[float, float], radius: float, left: bool) -> None:
    """One hollow half sphere of the wind cups, open to one side."""
    start = math.pi / 2 if left else -math.pi / 2
    arc = [start + math.pi * i / 14 for i in range(15)]
    points = [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in arc]
    page.draw_polyline(points, color=INK, fill=WHITE, width=0.9, closePath=True)


def parts(page: Any) -> None:
    y = title(page, 88, "Parts")
    y = prose(
        page,
        y + 8,
        """<p>The station arrives in one piece. Only the wind vane is packed separately; push it onto its shaft until
        it clicks. The box also holds the indoor display, its mains adapter and a 10 mm spanner.</p>""",
    )
    page.draw_rect((LEFT, y + 6, RIGHT, y + 436), color=None, fill=PANEL)
    middle = (LEFT + RIGHT) / 2
    for number, place in enumerate(station(page, middle, y + 82, 1.12), start=1):
        spot = (middle + (180 if place[0] > middle else -180), place[1])
        page.draw_line(spot, place, color=SLATE, width=0.8)
        page.draw_circle(place, 1.8, color=None, fill=SLATE)
        page.draw_circle(spot, 10, color=None, fill=SLATE)
        label(page, spot[0], spot[1] + 3.4, str(number), 9.4, WHITE, "bold", "centre")
    y += 462
    for i, (name, what) in enumerate(PARTS):
        x, row = LEFT + 232 * (i // 4), y + 19 * (i % 4)
        label(page, x, row, f"{i + 1}", 9.2, SLATE, "bold")
        label(page, x + 16, row, name, 9.2, INK, "bold")
        label(page, x + 98, row, what, 9.2, GREY)


def setup(page: Any) -> None:
    y = title(page, 88, "Setting up") + 4
    y = heading(page, y, "Choosing the place", SLATE)
    y = prose(
        page,
        y,
        """<p>Wind is worth measuring only where it is free to blow. Mount the station at least 2 metres above the
        ground and at least four times as far from a house or a tree as that is high. The solar panel faces south;
        south of the equator, north. Walls cost range: the display finds the station at up to 300 metres in the open
        and about 80 metres through two brick walls.</p>""",
    )
    y = heading(page, y + 4, "Step by step", SLATE) + 2
    steps = (
        "Charge the battery: leave the station in daylight for six hours, or connect a USB-C cable to the port under "
        "the radio housing for two.",
        "Push the clamp over the mast. It takes masts from 28 to 42 mm in diameter.",
        "Turn the station until the arrow on the cross arm points north. The compass in the display helps, and so "
        "does any telephone.",
        "Tighten both bolts to 4 newton metres with the spanner. More will crack the clamp.",
        "Plug in the display and choose your language.",
        "Lift the rubber cap and hold the pairing button for five seconds, until the light beside it flashes blue.",
        "Wait. The display shows the first readings within two minutes and wind after ten.",
        "Pour a cup of water slowly into the rain gauge. The display must count rain; then choose Settings, Rain, "
        "Reset.",
    )
    for number, step in enumerate(steps, start=1):
        page.draw_circle((LEFT + 9, y + 8.5), 9, color=None, fill=SLATE)
        label(page, LEFT + 9, y + 11.8, str(number), 9.2, WHITE, "bold", "centre")
        y = prose(page, y, f"<p>{step}</p>", x=LEFT + 30, width=RIGHT - LEFT - 30) + 3
    page.draw_rect((LEFT, y + 8, LEFT + 3, y + 58), color=None, fill=SLATE)
    page.draw_rect((LEFT + 3, y + 8, RIGHT, y + 58), color=None, fill=PANEL)
    prose(
        page,
        y + 17,
        """<p><b>Lightning.</b> A mast is a good lightning rod. Don't work on it in a thunderstorm, and earth a metal
        mast with a copper wire of at least 16 mm².</p>""",
        x=LEFT + 16,
        width=RIGHT - LEFT - 32,
    )


def specifications(page: Any) -> None:
    y = title(page, 88, "Specifications") + 8
    label(page, LEFT, y, "What it measures", 9.2, INK, "bold")
    sensors = (
        ("Wind speed", "0 to 60 m/s", "0.1 m/s", "± 0.5 m/s", "3 s"),
        ("Wind direction", "0 to 359°", "1°", "± 4°", "3 s"),
        ("Temperature", "-40 to 60 °C", "0.1 °C", "± 0.3 °C", "60 s"),
        ("Relative humidity", "1 to 99 %", "1 %", "± 3 %", "60 s"),
        ("Air pressure", "300 to 1,100 hPa", "0.1 hPa", "± 1 hPa", "60 s"),
        ("Rain", "0 to 400 mm/h", "0.2 mm", "± 5 %", "each tip"),
    )
    y = table(
        page,
        y + 8,
        ("Sensor", "Range", "Resolution", "Accuracy", "Interval"),
        sensors,
        widths=(125, 112, 82, 78, 70),
        align=("left", "left", "left", "left", "right"),
        row_height=22,
        accent=SLATE,
    )
    label(page, LEFT, y + 38, "Station", 9.2, INK, "bold")
    rows = (
        ("Radio", "868 MHz, up to 300 m in the open"),
        ("Battery", "lithium iron phosphate, 3.2 V, 1,800 mAh, replaceable"),
        ("Runs without sun", "40 days"),
        ("Solar panel", "1.5 W"),
        ("Operating temperature", "-30 to 60 °C"),
        ("Protection", "IP65"),
        ("Mast", "28 to 42 mm in diameter"),
        ("Size without mast", "410 × 380 × 290 mm"),
        ("Weight", "1.35 kg"),
    )
    y = table(
        page,
        y + 46,
        ("Property", "Value"),
        rows,
        widths=(150, 317),
        align=("left", "left"),
        row_height=21,
        accent=SLATE,
    )
    prose(
        page,
        y + 18,
        """<p>The display keeps readings for 400 days and writes them to a USB stick as plain text, one line a minute.
        It draws 2 watts from the mains and has no battery of its own.</p>""",
    )


def troubleshooting(page: Any) -> None:
    y = title(page, 88, "When something is wrong") + 8
    rows = (
        ("No readings at all", "The station was never paired, or its battery is flat.",
         "Charge it by USB-C for two hours, then hold the pairing button for five seconds."),
        ("Readings stop at night", "The battery no longer holds its charge.",
         "Replace the battery. It is worn out after about six years."),
        ("Light flashes red twice a minute", "The battery is below 2.9 volts.",
         "Clean the solar panel; charge by USB-C."),
        ("Wind speed stays at zero", "Ice or a spider's web holds the wind cups.",
         "Free the cups by hand. Don't use hot water: the hub cracks."),
        ("It rains, the display says no", "Leaves block the grid of the rain gauge, or the bucket is stuck.",
         "Lift off the funnel, rinse the grid, tip the bucket ten times."),
        ("Too warm on sunny, calm days", "The radiation shield is dirty or stands over a dark roof.",
         "Wash the shield with soap and water, or move the station over grass."),
        ("Wind direction is off by a constant angle", "The station has turned on its mast.",
         "Turn it until the arrow points north, or set the difference under Settings, Wind, Offset."),
        ("Display shows E7", "The clocks of station and display differ by more than a minute.",
         "Pull the display's plug for ten seconds."),
    )  # fmt: skip
    y = text_table(page, y, ("What you see", "Why", "What helps"), rows, widths=(128, 158, 181), accent=SLATE)
    prose(
        page,
        y + 20,
        """<p>If none of this helps, write to the workshop with the serial number, which is printed under the radio
        housing and begins with W3. Repairs are free in the first three years.</p>""",
    )


def maintenance(page: Any) -> None:
    y = title(page, 88, "Maintenance")
    y = prose(
        page,
        y + 8,
        """<p>The station asks for an hour a year. Choose a dry day without wind, and switch the rain counter to
        service under Settings, Rain, so that the water from cleaning is not counted.</p>""",
    )
    rows = (
        ("Every 3 months", "Rinse the grid of the rain gauge; wipe the solar panel with a soft, wet cloth."),
        ("Every year", "Take the radiation shield apart, wash its six plates and let them dry. Check both bolts of the "
                       "clamp: 4 newton metres."),
        ("Every 2 years", "Put one drop of silicone oil on the shaft of the wind cups. Never use grease; it stiffens "
                          "in frost."),
        ("Every 6 years", "Replace the battery, part number AM-3218."),
    )  # fmt: skip
    y = text_table(page, y + 6, ("When", "What to do"), rows, widths=(110, 357), accent=SLATE)
    y = heading(page, y + 22, "Replacing the battery", SLATE)
    y = prose(
        page,
        y,
        """<p>Take the station off its mast. Undo the four screws in the base of the radio housing and draw the old
        battery out by its ribbon. Slide the new one in with the red lead towards the antenna. Before you close the
        housing, look at the seal: a cracked seal lets in water and must be replaced as well (part number AM-0440).
        Pair the station again.</p>""",
    )
    y = heading(page, y + 6, "Winter", SLATE)
    y = prose(
        page,
        y,
        """<p>The rain gauge is not heated. Snow is counted when it melts. Where the temperature stays under minus ten
        for weeks, put the winter cap on the gauge; the display then leaves rain out instead of showing zero.</p>""",
    )
    y = heading(page, y + 6, "At the end of its life", SLATE)
    prose(
        page,
        y,
        """<p>Station, display and battery don't belong in household waste. We take them back free of charge at the
        workshop in Aldermoor.</p>""",
    )
    page.draw_line((LEFT, 752), (RIGHT, 752), color=LINE, width=0.6)
    label(page, LEFT, 768, "Aldermoor Instruments, 14 Tannery Row, Aldermoor", 8.4, GREY)
