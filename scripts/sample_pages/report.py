"""The annual report of Skerrow Ferries, a company that does not exist: six pages with tables and two charts."""

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
    bar_chart,
    furniture,
    heading,
    label,
    line_chart,
    new_page,
    prose,
    table,
    title,
)

SEA = (0.05, 0.29, 0.40)
PALE = (0.66, 0.78, 0.83)
TITLE = "Skerrow Ferries: Annual Report 2025"


def report() -> Any:
    """The whole document."""
    document = pymupdf.open()
    cover(document)
    for number, draw in enumerate((letter, key_figures, segments, ships, outlook), start=2):
        page = new_page(document)
        furniture(page, "Skerrow Ferries", "Annual Report 2025", number)
        draw(page)
    return document


def cover(document: Any) -> None:
    page = new_page(document)
    page.draw_rect((0, 0, WIDTH + 1, HEIGHT), color=None, fill=(0.04, 0.20, 0.29))
    for i in range(9):
        shade = i / 8
        fill = (0.05 + 0.10 * shade, 0.25 + 0.27 * shade, 0.35 + 0.27 * shade)
        wave(page, 470 + i * 44, 15 - i * 0.7, 330 - 14 * i, i * 0.9, fill)
    ferry(page, 372, 480)
    label(page, LEFT, 92, "Skerrow Ferries", 13, (0.82, 0.90, 0.93))
    prose(page, 160, "<p>Annual Report<br>2025</p>", size=50, leading=1.16, colour=WHITE)
    label(page, LEFT, 318, "Year ended 31 December 2025", 12, (0.82, 0.90, 0.93))


def wave(page: Any, y: float, swing: float, length: float, phase: float, fill: tuple[float, float, float]) -> None:
    """A band of water: a sine from edge to edge, filled down to the foot of the page."""
    crest = [(x, y + swing * math.sin(phase + 2 * math.pi * x / length)) for x in range(0, int(WIDTH) + 6, 6)]
    page.draw_polyline([*crest, (WIDTH + 6, HEIGHT), (0, HEIGHT)], color=None, fill=fill, closePath=True)


def ferry(page: Any, x: float, y: float) -> None:
    """A small ship on the first wave, seen from the side."""
    white, shade = (0.95, 0.97, 0.98), (0.05, 0.25, 0.35)
    page.draw_polyline(
        [(x, y - 16), (x + 128, y - 16), (x + 118, y), (x + 10, y)], color=None, fill=white, closePath=True
    )
    page.draw_rect((x + 14, y - 31, x + 108, y - 17), color=None, fill=white)
    page.draw_rect((x + 62, y - 43, x + 98, y - 31), color=None, fill=white)
    page.draw_rect((x + 34, y - 44, x + 44, y - 31), color=None, fill=PALE)
    for i in range(9):
        page.draw_rect((x + 19 + 10 * i, y - 27, x + 24 + 10 * i, y - 22), color=None, fill=shade)
    for i in range(4):
        page.draw_rect((x + 66 + 8 * i, y - 40, x + 71 + 8 * i, y - 35), color=None, fill=shade)


def letter(page: Any) -> None:
    y = title(page, 88, "A calmer crossing")
    y = prose(page, y + 4, "<p>Letter from the chief executive</p>", size=12.5, colour=GREY)
    prose(
        page,
        y + 6,
        """<p>Islanders judge a ferry company by a simple question: will it sail? In 2025 the answer was yes more often
        than in any year since the company was founded. We sailed 24,018 crossings and cancelled 418, fewer than half
        of the 903 that we cancelled the year before.</p>
        <p>Two things made the difference. Our second hybrid ship, <i>Dunlin</i>, entered service on 3 March and took
        over the exposed route to Outer Skerrow. She can turn in a swell of three metres, which her predecessor could
        not. And the new linkspan at Halmstack, finished in June, lets us load at any state of the tide.</p>
        <p>More people travelled with us because of it. We carried 2.06 million passengers, 7 per cent more than in
        2024, and for the first time most of the growth came outside the summer. Revenue rose to 88.6 million euros
        and operating profit to 9.4 million euros. The board proposes a dividend of 0.35 euros a share, after two
        years in which we paid none.</p>
        <p>Not everything went well. The booking system failed on the first Friday of the summer holidays, and some
        4,300 travellers waited at the quay without a ticket that we could read. We refunded every one of them, and we
        have since moved the system to a supplier who lets us test it under load. The repair of <i>Fulmar</i> took
        eleven weeks instead of four, because a gearbox had to be cast anew.</p>
        <p>Next year we celebrate a century of regular service. On 12 July 1926 the steamer <i>Gannet</i> left
        Port Aldric for Halmstack with nineteen passengers, forty sheep and the post. We will mark the day with a free
        crossing for everybody who lives on the islands.</p>
        <p>I thank our 452 colleagues on board and ashore. Calm crossings are their work.</p>""",
        size=11.4,
        leading=1.56,
    )
    signature(page, LEFT + 4, 700)
    label(page, LEFT, 738, "Marit Ellingsgaard", 10, INK, "bold")
    label(page, LEFT, 752, "Chief executive, Port Aldric, 27 February 2026", 9, GREY)


def signature(page: Any, x: float, y: float) -> None:
    """A hand's quick line."""
    strokes = [
        ((0, 12), (14, -34), (20, -20), (22, 10)),
        ((22, 10), (30, -38), (38, -18), (40, 8)),
        ((40, 8), (50, -14), (58, -6), (60, 6)),
        ((60, 6), (80, -30), (66, -30), (74, 4)),
        ((74, 4), (92, -16), (84, 12), (128, -8)),
    ]
    for stroke in strokes:
        page.draw_bezier(*[(x + dx, y + dy) for dx, dy in stroke], color=SEA, width=1.3)


def key_figures(page: Any) -> None:
    y = title(page, 88, "Key figures") + 10
    facts = (("2.06 m", "passengers"), ("93.7 %", "left within five minutes"), ("9.4 m €", "operating profit"))
    for i, (figure, what) in enumerate(facts):
        prose(page, y, f"<p>{figure}</p>", x=LEFT + i * 160, width=150, size=28, leading=1.1, colour=SEA)
        label(page, LEFT + i * 160, y + 48, what, 9, GREY)
    y += 84
    label(page, LEFT, y, "Five years at a glance", 9.2, INK, "bold")
    rows = (
        ("Passengers, thousand", "1,412", "1,688", "1,843", "1,927", "2,064"),
        ("Vehicles, thousand", "388", "431", "452", "467", "489"),
        ("Crossings sailed", "21,940", "23,105", "23,480", "23,612", "24,018"),
        ("Crossings cancelled", "1,012", "846", "791", "903", "418"),
        ("Departures within five minutes, %", "88.4", "89.9", "90.2", "89.1", "93.7"),
        ("Revenue, million euros", "61.8", "70.5", "76.9", "81.2", "88.6"),
        ("Operating profit, million euros", "2.1", "4.9", "6.3", "5.8", "9.4"),
        ("Net debt, million euros", "38.0", "34.6", "30.2", "57.9", "52.3"),
        ("Employees at the end of the year", "402", "418", "431", "440", "452"),
    )
    y = table(
        page,
        y + 10,
        ("", "2021", "2022", "2023", "2024", "2025"),
        rows,
        widths=(187, *[56.0] * 5),
        row_height=22,
        accent=SEA,
        tint_column=5,
    )
    prose(
        page,
        y + 22,
        """<p>A crossing counts as cancelled when it does not leave within two hours of the timetable. Punctuality is
        measured at the departure from every quay, not at the arrival.</p>
        <p>Net debt rose by 27.7 million euros in 2024, when we paid for both hybrid ships, and has fallen since. We
        repaid 5.6 million euros in 2025 out of our own cash flow. The loan for <i>Solan</i> runs until 2036, the loan
        for <i>Dunlin</i> until 2037; both bear fixed interest of 3.1 per cent.</p>
        <p>The number of employees counts everybody with a contract on 31 December. A further 96 people worked for us
        between May and September.</p>""",
    )


def segments(page: Any) -> None:
    y = title(page, 88, "Where the money comes from")
    y = prose(
        page,
        y + 8,
        """<p>We report five segments. Cars and coaches remain the largest, freight grew the fastest: the fish farms
        at Outer Skerrow now send their whole catch by the morning sailing, and two builders' merchants have opened on
        Halmstack.</p>""",
    )
    head = ("", "2022", "2023", "2024", "2025")
    widths = (227, *[60.0] * 4)
    label(page, LEFT, y + 18, "Revenue by segment, million euros", 9.2, INK, "bold")
    revenue = (
        ("Foot passengers", "21.4", "23.2", "24.1", "26.4"),
        ("Cars and coaches", "26.3", "28.1", "29.4", "31.5"),
        ("Freight", "15.2", "16.6", "18.3", "20.5"),
        ("Sales on board", "5.0", "6.0", "6.2", "6.8"),
        ("Winter service contract", "2.6", "3.0", "3.2", "3.4"),
        ("Total", "70.5", "76.9", "81.2", "88.6"),
    )
    y = table(page, y + 27, head, revenue, widths=widths, row_height=21, accent=SEA, bold_rows=(5,), tint_column=4)
    label(page, LEFT, y + 32, "Operating profit by segment, million euros", 9.2, INK, "bold")
    profit = (
        ("Foot passengers", "1.2", "1.6", "1.3", "2.7"),
        ("Cars and coaches", "2.4", "2.8", "2.6", "3.6"),
        ("Freight", "0.9", "1.4", "1.5", "2.2"),
        ("Sales on board", "0.8", "0.9", "0.8", "1.1"),
        ("Winter service contract", "-0.4", "-0.4", "-0.4", "-0.2"),
        ("Total", "4.9", "6.3", "5.8", "9.4"),
    )
    y = table(page, y + 41, head, profit, widths=widths, row_height=21, accent=SEA, bold_rows=(5,), tint_column=4)
    prose(
        page,
        y + 22,
        """<p>Fares went up once, by 2.5 per cent on 1 April. Islanders who hold a resident's card were exempt.</p>
        <p>The winter service contract obliges us to sail to Little Skerrow three times a week from November to March.
        The county pays a fixed sum for it that has not kept up with wages. The contract ends in March 2027, and we
        will not renew it on the present terms.</p>""",
    )


def ships(page: Any) -> None:
    y = title(page, 88, "Ships and energy")
    y = prose(
        page,
        y + 8,
        """<p>Seven ships sail for us. Two of them, <i>Solan</i> and <i>Dunlin</i>, carry batteries of 4.2 megawatt
        hours each, charge at Port Aldric while they load, and burn fuel only when the sea is rough or the quay has no
        power. They have replaced the two thirstiest ships of the fleet.</p>""",
    )
    bars = [(str(2019 + i), value, PALE) for i, value in enumerate((212, 209, 204, 198, 191))]
    bars += [("2024", 163, SEA), ("2025", 118, SEA)]
    bar_chart(
        page,
        pymupdf.Rect(LEFT + 24, y + 42, RIGHT, y + 202),
        "Fuel burnt per crossing, litres, average of the fleet",
        bars,
        top=250,
        step=50,
    )
    y += 232
    page.draw_rect((LEFT + 24, y - 6, LEFT + 32, y + 2), color=None, fill=PALE)
    label(page, LEFT + 37, y + 1, "before the hybrid ships", 8, GREY)
    page.draw_rect((LEFT + 144, y - 6, LEFT + 152, y + 2), color=None, fill=SEA)
    label(page, LEFT + 157, y + 1, "with hybrid ships", 8, GREY)
    quarters = ("Q1 2024", "Q2", "Q3", "Q4", "Q1 2025", "Q2", "Q3", "Q4")
    line_chart(
        page,
        pymupdf.Rect(LEFT + 24, y + 56, RIGHT, y + 186),
        "Share of crossings sailed on battery alone, by quarter",
        list(zip(quarters, (0, 6, 14, 17, 22, 31, 38, 36), strict=True)),
        top=50,
        step=10,
        colour=SEA,
    )
    prose(
        page,
        y + 222,
        """<p>The best quarter so far was the third of 2025. Winter seas and a fault in the charging arm, repaired on
        9 December, cost us two points in the fourth. A second charging arm, at Halmstack, is on order and due in
        September 2026. With it we expect to sail every second crossing on battery.</p>""",
    )


def outlook(page: Any) -> None:
    y = title(page, 88, "Risks and outlook") + 6
    y = heading(page, y, "What could go wrong", SEA)
    risks = (
        ("Weather", "A stormy winter costs about 30,000 euros for each day on which no ship leaves port."),
        ("Fuel", "We have fixed the price of 60 per cent of the fuel that we expect to burn in 2026. A rise of a tenth "
                 "in the price of the rest would cost 0.4 million euros."),
        ("Crew", "Nine of our 31 masters reach retirement age before 2029. We train six cadets a year, up from two."),
        ("Quays", "Port Aldric belongs to the county. Its northern pier is closed to lorries over 26 tonnes until it "
                  "has been strengthened, for which no date is set."),
        ("Computers", "An attack on the booking system would stop sales, not ships: since October every quay can check "
                      "tickets without a connection for 48 hours."),
    )  # fmt: skip
    for name, text in risks:
        label(page, LEFT, y + 11.5, name, 9.4, INK, "bold")
        y = prose(page, y, f"<p>{text}</p>", x=LEFT + 92, width=RIGHT - LEFT - 92)
        page.draw_line((LEFT, y - 2), (RIGHT, y - 2), color=LINE, width=0.5)
        y += 3
    y = heading(page, y + 14, "What we expect of 2026", SEA)
    y = prose(
        page,
        y,
        """<p>We expect to carry between 2.10 and 2.15 million passengers and to earn an operating profit of at least
        10 million euros. Capital expenditure will be about 6 million euros, most of it for the charging arm at
        Halmstack and the conversion of <i>Fulmar</i>.</p>
        <p>From 1 May we add a late sailing from Port Aldric at 22.15 on Fridays and Saturdays. If it is used by
        forty people on average we will keep it through the winter.</p>""",
    )
    y = heading(page, y + 8, "Dates for shareholders", SEA)
    dates = (
        ("General meeting, Port Aldric", "22 April 2026"),
        ("Dividend paid", "6 May 2026"),
        ("Half-year report", "20 August 2026"),
    )
    table(page, y, ("Event", "Date"), dates, widths=(260, 207), accent=SEA)
