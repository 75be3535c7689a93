"""A typewritten letter of 1974 as a scanner sees it: two pages, slightly skewed, grey and noisy, no text layer."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import pymupdf
from PIL import Image, ImageChops, ImageFilter
from sample_pages.layout import HEIGHT, LEFT, WIDTH, label, new_page, prose

DPI = 200
TYPE = 10.4  # size of the typewriter's letters in points; each is 0.6 of it wide
PAPER = 248

FIRST = """\
Our reference HT/212/74                      14 March 1974


Miss Edith Hallam
Curator, Museum of the Coast
3 Chapel Walk
Brennick


Dear Miss Hallam,

The lens of the Wendle Point light

Thank you for your letter of 2 March. The Trust met on
5 March and I am glad to say that it agrees to lend the
museum the old lens of the Wendle Point lighthouse for
your summer exhibition, from 1 May to 30 September 1974.

The lens was made in Paris in 1868 and stood in the tower
until the light was electrified in 1931. It consists of
sixteen glass panels in a brass frame, weighs 410 kilograms
without its pedestal and has never left the parish. You
will understand that some members of the Trust needed a
little persuading.

The Trust values the lens at 6,500 pounds. We ask the
museum to insure it for that sum against damage, theft and
fire, from the moment it leaves our store until the moment
it returns, and to send us the certificate by 12 April.

Our foreman, Mr Tregarth, will pack the panels one by one.
His men can load on Wednesday 24 April, at low water, when
the lorry can stand on the hard beside the store. The
journey by way of Carrow Bridge takes about three hours;
the bridge at Stennack is too weak for the load.
"""

SECOND = """\
Harbour Trust to Miss Hallam, 14 March 1974          Page 2


We make four conditions.

1. The lens stands in a room that is kept between 12 and
   22 degrees, out of the sun. A lens of this kind set fire
   to a curtain here in 1902.

2. Nobody but Mr Tregarth takes the panels out of their
   frame. His travelling expenses are paid by the museum.

3. The brass may be dusted but not polished.

4. A card beside the lens says: Lent by the Wendle Harbour
   Trust.

We ask for no fee. If the exhibition should make a profit,
a contribution to the widows' fund would be welcome; last
year the fund supported eleven families.

Should you wish to keep the lens until the end of the year,
please write to me before 1 August. The Trust meets on the
first Tuesday of each month.

With kind regards to your father, whom I remember from the
regatta,

Yours sincerely,





J. P. Rosewarne
Clerk to the Trust

Enclosed: drawing of the frame, packing list
"""


def letter() -> Any:
    """The whole document: each page one greyscale JPEG that fills it."""
    document = pymupdf.open()
    random = Random(1974)  # the same paper on each run
    for typed, turn in ((first_page(random), 0.55), (second_page(random), -0.4)):
        pixels = typed.get_pixmap(dpi=DPI, colorspace=pymupdf.csGRAY)
        clean = Image.frombytes("L", (pixels.width, pixels.height), pixels.samples)
        jpeg = io.BytesIO()
        scan(clean, turn, random).save(jpeg, "JPEG", quality=52, optimize=True, dpi=(DPI, DPI))
        page = document.new_page(width=WIDTH, height=HEIGHT)
        page.insert_image(page.rect, stream=jpeg.getvalue())
    return document


def first_page(random: Random) -> Any:
    page = new_page(pymupdf.open())
    prose(page, 58, "<p><b>Wendle Harbour Trust</b></p>", x=LEFT + 4, size=21, leading=1.2)
    label(page, LEFT + 4, 98, "The Customs House, Wendle Quay.  Telephone Wendle 43", 9.6)
    page.draw_line((LEFT + 4, 108), (WIDTH - LEFT, 108), color=(0, 0, 0), width=1)
    typewrite(page, 150, FIRST, random)
    return page


def second_page(random: Random) -> Any:
    page = new_page(pymupdf.open())
    typewrite(page, 86, SECOND, random)
    for stroke in (
        ((0, 4), (10, -30), (20, -34), (10, 16)),
        ((10, 16), (2, 26), (-10, 14), (30, -2)),
        ((30, -2), (44, -38), (58, -22), (36, -6)),
        ((36, -6), (52, 8), (50, -12), (66, -4)),
        ((66, -4), (78, 6), (84, -18), (94, -2)),
        ((94, -2), (110, 8), (118, -14), (150, -6)),
    ):
        points = [(LEFT + 8 + x, 594 + y) for x, y in stroke]
        page.draw_bezier(*points, color=(0.1, 0.1, 0.1), width=1.4)
    return page


def typewrite(page: Any, y: float, text: str, random: Random) -> None:
    """Types line by line; every letter sits a hair off its line, as on a machine that has seen some use."""
    shape = page.new_shape()  # one write for the whole page: letter by letter takes seconds
    for number, line in enumerate(text.splitlines()):
        for i, character in enumerate(line):
            if character != " ":
                spot = (LEFT + 4 + i * TYPE * 0.6, y + number * TYPE * 1.58 + random.uniform(-0.3, 0.3))
                ink = random.uniform(0.0, 0.2)
                shape.insert_text(spot, character, fontname="mono", fontsize=TYPE, color=(ink, ink, ink))
    shape.commit()


def scan(clean: Any, turn: float, random: Random) -> Any:
    """What a flatbed scanner makes of a greyscale page: soft, turned by ``turn`` degrees, on paper not quite white."""
    soft = clean.filter(ImageFilter.GaussianBlur(0.7)).point([round(value * PAPER / 255) for value in range(256)])
    turned = soft.rotate(turn, Image.Resampling.BICUBIC, fillcolor=PAPER)
    for shade, coarse in ((5, 160), (15, 2)):  # clouds in the paper, then its grain
        turned = ImageChops.subtract(turned, noise(turned.size, shade, coarse, random))
    return turned


def noise(size: tuple[int, int], most: int, coarse: int, random: Random) -> Any:
    """Greyscale noise from 0 to ``most`` whose grains are ``coarse`` pixels wide."""
    small = (size[0] // coarse + 1, size[1] // coarse + 1)
    grains = Image.frombytes("L", small, random.randbytes(small[0] * small[1]))
    return grains.resize(size, Image.Resampling.BICUBIC).point([value * most // 255 for value in range(256)])
