"""Pages and quotes made for `benchmarks.citations`: what is true, how it is damaged, what is not there.

English text is babbled from the sample documents (each word follows the two before it somewhere in them), so that
pages repeat themselves and each other as real ones do; other scripts are strings of common words. How OCR misreads is
written down here once more, apart from what `generation.folding` knows of it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from api import samples
from folioscope.domain import Words
from generation.alike import ALIKE

PER_LINE = 11
LINE = 0.014


def _list(words: str) -> list[str]:
    return words.split()


class Case(NamedTuple):
    """``there``: positions of the words that the quote stands for; None: it is not on the page."""

    quote: str
    words: Words
    there: tuple[int, ...] | None


Maker = Callable[[random.Random], Case]


@cache
def sample_text() -> list[str]:
    """The words of the sample documents' text layers."""
    import pymupdf

    text: list[str] = []
    with samples.folder() as folder:
        for path in sorted(folder.glob("*.pdf")):
            with pymupdf.open(path) as document:
                text += [word for page in document for word in page.get_text().split()]
    return text


@cache
def followers() -> dict[tuple[str, str], list[str]]:
    text = sample_text()
    found: dict[tuple[str, str], list[str]] = {}
    for a, b, c in zip(text, text[1:], text[2:], strict=False):
        found.setdefault((a, b), []).append(c)
    return found


def babble(rng: random.Random, count: int) -> list[str]:
    """So many words."""
    known = followers()
    starts = list(known)
    out: list[str] = []
    while len(out) < count:
        after = known.get((out[-2], out[-1])) if len(out) > 1 and rng.random() > 0.1 else None
        out += [rng.choice(after)] if after else rng.choice(starts)
    return out[:count]


def page(columns: Sequence[Sequence[Sequence[str]]], blocks: int = 6) -> Words:
    """Columns of lines of words side by side, each read to its end; a block is so many lines."""
    texts: list[str] = []
    rows: list[tuple[float, float, float, float, int, int]] = []
    line = 0
    width = 1 / len(columns)
    for c, column in enumerate(columns):
        for r, words in enumerate(column):
            x, step = c * width + 0.02, 0.9 * width / max(1, sum(len(word) + 1 for word in words))
            for word in words:
                texts.append(word)
                rows.append((x, 0.05 + r * LINE, x + step * len(word), 0.05 + (r + 0.7) * LINE, line, line // blocks))
                x += step * (len(word) + 1)
            line += 1
    table = np.array(rows)
    boxes, lines, numbers = table[:, :4].astype(np.float32), table[:, 4].astype(np.int32), table[:, 5].astype(np.int32)
    return Words(texts, boxes, lines, numbers, "text-layer")


def column(text: Sequence[str], per_line: int = PER_LINE) -> Words:
    """One column of running text."""
    return page([[text[i : i + per_line] for i in range(0, len(text), per_line)]])


def stretch(rng: random.Random, text: Sequence[str], size: int = 0) -> range:
    """Where a quote of ``size`` words, else of 4 to 40, is taken; it has letters and is not all numbers."""
    while True:
        length = size or rng.randint(4, 40)
        start = rng.randrange(len(text) - length)
        if sum(word.isalpha() for word in text[start : start + length]) >= max(3, length // 2):
            return range(start, start + length)


# --- true quotes ----------------------------------------------------------------------------------------------------

CONFUSIONS = [
    (pair[: pair.index(">")], pair[pair.index(">") + 1 :])
    for pair in _list(
        "rn>m m>rn nn>m cl>d d>cl w>vv h>li l>1 l>i i>l i>1 t>l j>i f>t o>0 c>e e>c n>u u>n u>v v>u b>h h>b b>6 s>5 g>q"
        " q>g z>2 a>á e>é o>ö"
    )
]
"""Seen > read."""

TELLING = re.compile(
    r"(?i)(t|no|not|non|nor|never|none|neither|nothing|without|cannot|un|one|two|three|four|five|six|seven|eight|nine|ten"
    r"|eleven|twelve|\w+teen|twenty|thirty|fou?rty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?"
    r"|zero|dozen|first|second|third|fourth|quarter|half|once|twice)"
)


def can_be_misread(word: str) -> bool:
    return word.isalpha() and any(seen in word for seen, _ in CONFUSIONS)


def misread(rng: random.Random, word: str) -> str:
    """The word with one shape taken for another."""
    seen, read = rng.choice([pair for pair in CONFUSIONS if pair[0] in word])
    at = rng.choice([found.start() for found in re.finditer(re.escape(seen), word)])
    return word[:at] + read + word[at + len(seen) :]


def damaged(count: int, size: int = 30) -> Maker:
    """``count`` of ``size`` words misread on the page: words of letters that are neither numbers nor negations.

    A misreading that is a word itself (lime for time) is left to `other_word`.
    """

    def make(rng: random.Random) -> Case:
        fit: list[int] = []
        while len(fit) < count or not fit:
            text = babble(rng, 300)
            at = stretch(rng, text, size)
            fit = [i for i in at if len(text[i]) > 3 and not TELLING.fullmatch(text[i]) and can_be_misread(text[i])]
        there = list(text)
        for i in rng.sample(fit, count):
            while {there[i].lower(), text[i].lower()} <= ALIKE or there[i] == text[i]:
                there[i] = misread(rng, text[i])
        return Case(" ".join(text[i] for i in at), column(there), tuple(at))

    return make


def verbatim(rng: random.Random) -> Case:
    text = babble(rng, 300)
    at = stretch(rng, text)
    return Case(" ".join(text[i] for i in at), column(text), tuple(at))


def repeated(rng: random.Random) -> Case:
    """The same words stand three times on the page."""
    text = babble(rng, 240)
    at = stretch(rng, text)
    part = [text[i] for i in at]
    return Case(" ".join(part), column([*text, *part, *babble(rng, 30), *part]), tuple(at))


def hyphenated(rng: random.Random) -> Case:
    """Long words are divided where lines end."""
    text = babble(rng, 240)
    at = stretch(rng, text)
    there: list[str] = []
    places: list[int] = []
    for i, word in enumerate(text):
        parts = [word[:3] + "-", word[3:]] if word.isalpha() and word.islower() and len(word) > 6 else [word]
        if i in at:
            places += range(len(there), len(there) + len(parts))
        there += parts
    lines: list[list[str]] = [[]]
    for word in there:
        lines[-1].append(word)
        if len(lines[-1]) >= PER_LINE or (word.endswith("-") and len(lines[-1]) > 4):
            lines.append([])
    return Case(" ".join(text[i] for i in at), page([[line for line in lines if line]]), tuple(places))


TYPE = {"ffi": "ﬃ", "ffl": "ﬄ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ", "'": "’", '"': "”", "-": "‐"}


def typeset(rng: random.Random) -> Case:
    """Ligatures, curly quotation marks and other dashes on the page."""
    text = babble(rng, 300)
    at = stretch(rng, text)
    there = []
    for word in text:
        for plain, set_ in TYPE.items():
            word = word.replace(plain, set_)
        there.append(word)
    return Case(" ".join(text[i] for i in at), column(there), tuple(at))


def run_together(rng: random.Random) -> Case:
    """Two words are read as one, another is read as two."""
    text = babble(rng, 300)
    while True:
        at = stretch(rng, text, 30)
        plain = [i for i in at[1:-2] if text[i].isalpha() and len(text[i]) > 5 and text[i + 1].isalpha()]
        plain = [i for i in plain if not any(TELLING.fullmatch(text[k]) for k in (i, i + 1))]
        if len(plain) > 1 and max(plain) - min(plain) > 2:
            break
    one, two = min(plain), max(plain)
    there = [
        *text[:one],
        text[one] + text[one + 1],
        *text[one + 2 : two],
        text[two][:4],
        text[two][4:],
        *text[two + 1 :],
    ]
    return Case(" ".join(text[i] for i in at), column(there), tuple(at))


def shortened(rng: random.Random) -> Case:
    """The quote leaves out words from its middle and says so."""
    text = babble(rng, 300)
    while True:
        at = stretch(rng, text, 30)
        gap = range(at.start + 10, at.start + 18)
        inside = {piece for i in gap for piece in re.split(r"\W+", text[i].lower())}
        if not any(TELLING.fullmatch(piece) for piece in inside):
            break
    left = (*range(at.start, gap.start), *range(gap.stop, at.stop))
    quote = [*(text[i] for i in left[:10]), "…", *(text[i] for i in left[10:])]
    return Case(" ".join(quote), column(text), left)


def table(rng: random.Random) -> tuple[list[str], list[list[str]]]:
    """Names of rows and the cells of two columns."""
    names = [" ".join(rng.sample(NOUNS, 2)) for _ in range(8)]
    cells = [[f"{rng.randint(1, 9)},{rng.randint(100, 999)}" for _ in names] for _ in range(2)]
    return names, cells


NOUNS = _list(
    "sales costs wages taxes rent interest profit fuel repairs insurance harbour ferry crew freight storage training"
    " travel energy water licences grants fees tickets catering cleaning software advertising research pensions timber"
)


def cells(rng: random.Random) -> Case:
    """A row of a table that is read column by column, or row by row."""
    names, values = table(rng)
    r = rng.randrange(len(names))
    quote = f"{names[r]} {values[0][r]} {values[1][r]}"
    if rng.random() < 0.5:
        words = page([[name.split() for name in names], *[[[value] for value in part] for part in values]], blocks=1)
        return Case(quote, words, (2 * r, 2 * r + 1, 2 * len(names) + r, 3 * len(names) + r))
    rows = [[*name.split(), a, b] for name, a, b in zip(names, *values, strict=True)]
    return Case(quote, page([rows], blocks=1), tuple(range(4 * r, 4 * r + 4)))


ARABIC = _list(
    "الشركة الأرباح السنة المجلس القرار المدينة الكتاب التقرير النتائج السوق المصنع العمال الإدارة المشروع التكلفة"
    " الميناء السفينة الوقود الطريق الجديد الكبير الماضي المقبل ارتفعت انخفضت بلغت قررت وافقت أعلنت في من على إلى بعد"
)
HEBREW = _list(
    "החברה הרווח השנה המועצה ההחלטה העיר הספר הדוח התוצאות השוק המפעל העובדים ההנהלה הפרויקט העלות הנמל האונייה הדלק"
    " הדרך החדש הגדול שעברה הבאה עלו ירדו הגיעו החליטה אישרה הודיעה של על אל עם אחרי"
)
HAN = (
    "公司去年的收入增长了管理层决定在港口建设新工厂市场报告显示成本下降员工数量工程师认为项目将按计划完成"
    "股东大会批准董事燃料价格上升运输部门利润"
)
THAI = _list("บริษัท รายได้ ปีที่แล้ว เพิ่มขึ้น ท่าเรือ โรงงาน ใหม่ ตลาด รายงาน ต้นทุน พนักงาน โครงการ กำไร เชื้อเพลิง ราคา")


def right_to_left(rng: random.Random) -> Case:
    """Arabic, at times with vowel signs or stretched letters on the page, or Hebrew."""
    arabic = rng.random() < 0.6
    text = rng.choices(ARABIC if arabic else HEBREW, k=120)
    at = stretch(rng, text)
    style = rng.random()
    there = [word[:2] + "ـ" + word[2:] if arabic and style < 0.3 and len(word) > 3 else word for word in text]
    return Case(" ".join(text[i] for i in at), column(there, 9), tuple(at))


def unspaced(rng: random.Random) -> Case:
    """Chinese lines, or Thai, of which the quote is a part that begins and ends anywhere."""
    if rng.random() < 0.3:
        text = ["".join(rng.choices(THAI, k=4)) for _ in range(20)]
        i = rng.randrange(len(text))
        return Case(text[i], column(text, 1), (i,))
    text = ["".join(rng.choices(HAN, k=24)) for _ in range(20)]
    i, start = rng.randrange(len(text)), rng.randrange(10)
    return Case(text[i][start : start + rng.randint(8, 14)], column(text, 1), (i,))


TRUE: dict[str, Maker] = {
    "verbatim": verbatim,
    "stands three times": repeated,
    "hyphenated": hyphenated,
    "ligatures, quotation marks": typeset,
    "1 word of 30 misread": damaged(1),
    "2 words of 30 misread": damaged(2),
    "4 words of 30 misread": damaged(4),
    "words split, run together": run_together,
    "left out with an ellipsis": shortened,
    "table rows": cells,
    "right to left": right_to_left,
    "Chinese, Thai": unspaced,
}


# --- quotes that are not there --------------------------------------------------------------------------------------


def unrelated(rng: random.Random) -> Case:
    quote = babble(rng, 300)
    return Case(" ".join(quote[i] for i in stretch(rng, quote)), column(babble(rng, 300)), None)


def exchanged(rng: random.Random) -> Case:
    """One word is another word of the samples."""
    text = babble(rng, 300)
    at = stretch(rng, text)
    quote = [text[i] for i in at]
    i = rng.choice([i for i, word in enumerate(quote) if word.isalpha()])
    quote[i] = rng.choice([word for word in sample_text() if word.isalpha() and len(word) > 2 and word != quote[i]])
    return Case(" ".join(quote), column(text), None)


def put_in(rng: random.Random, words: Sequence[str]) -> Case:
    """A word stands in the quote alone, or on the page alone."""
    text = babble(rng, 300)
    at = stretch(rng, text)
    i = rng.choice(at[1:-1])
    longer = [*text[:i], rng.choice(words), *text[i:]]
    if rng.random() < 0.5:
        return Case(" ".join(longer[at.start : at.stop + 1]), column(text), None)
    return Case(" ".join(text[at.start : at.stop]), column(longer), None)


def negated(rng: random.Random) -> Case:
    return put_in(rng, ["not", "no", "never", "without", "hardly", "neither"])


def added(rng: random.Random) -> Case:
    """A word that the page does not have, of those that change little."""
    text = babble(rng, 300)
    at = stretch(rng, text)
    quote = [text[i] for i in at]
    quote.insert(
        rng.randrange(len(quote) + 1), rng.choice(["often", "quickly", "recently", "again", "together", "abroad"])
    )
    return Case(" ".join(quote), column(text), None)


def limited(rng: random.Random) -> Case:
    return put_in(rng, ["only", "almost", "may", "if", "some", "less", "before", "probably", "up"])


def counted(rng: random.Random) -> Case:
    return put_in(rng, ["two", "five", "million", "12", "2,500", "half", "third"])


def renumbered(rng: random.Random) -> Case:
    """One digit of a number is another."""
    text = babble(rng, 300)
    at = stretch(rng, text)
    i = rng.choice(at)
    number = str(rng.randint(10, 99_999))
    k = rng.randrange(len(number))
    other = number[:k] + rng.choice([digit for digit in "0123456789" if digit != number[k]]) + number[k + 1 :]
    there, quote = [*text[:i], number, *text[i:]], [*text[at.start : i], other, *text[i : at.stop]]
    return Case(" ".join(quote), column(there), None)


OPPOSITES = [
    pair.split("/")
    for pair in _list(
        "increased/decreased rose/fell employer/employee buyer/seller sufficient/insufficient safe/unsafe above/below"
        " million/billion euros/dollars lawful/unlawful hypertension/hypotension January/June largest/smallest"
        " accepted/rejected before/after maximum/minimum able/unable credit/debit import/export landlord/tenant"
        " $500/€500 <0.05/>0.05 5%/5‰ -5/5 won/lost first/last always/seldom"
    )
]


LOOK_ALIKE = [
    pair.split("/")
    for pair in _list(
        "case/ease modem/modern clear/dear be/he bill/hill had/bad feel/feet fell/felt it/if male/mate close/dose"
        " inferior/interior property/properly formal/format failing/falling lake/take certainly/certainty hand/band"
    )
]


def opposite(rng: random.Random) -> Case:
    """One word is its opposite, however alike."""
    text = babble(rng, 300)
    at = stretch(rng, text)
    one, other = rng.sample(rng.choice(OPPOSITES), 2)
    i = rng.choice(at[1:-1])
    quote = [*text[at.start : i], other, *text[i : at.stop]]
    return Case(" ".join(quote), column([*text[:i], one, *text[i:]]), None)


def alike(rng: random.Random) -> Case:
    """One word is another that OCR may take for it."""
    text = babble(rng, 300)
    at = stretch(rng, text)
    one, other = rng.sample(rng.choice(LOOK_ALIKE), 2)
    i = rng.choice(at[1:-1])
    quote = [*text[at.start : i], other, *text[i : at.stop]]
    return Case(" ".join(quote), column([*text[:i], one, *text[i:]]), None)


def reordered(rng: random.Random) -> Case:
    """Two words of the sentence have changed places."""
    text = babble(rng, 300)
    while True:
        at = stretch(rng, text)
        plain = [i for i in at if text[i].isalpha() and len(text[i]) > 3]
        if len({text[i].lower() for i in plain}) > 1:
            break
    while True:
        one, two = rng.sample(plain, 2)
        if text[one].lower() != text[two].lower():
            break
    quote = list(text)
    quote[one], quote[two] = text[two], text[one]
    return Case(" ".join(quote[at.start : at.stop]), column(text), None)


def spliced(rng: random.Random) -> Case:
    """The beginning of one sentence and the end of another."""
    text = babble(rng, 300)
    one, two = stretch(rng, text[:140], 10), stretch(rng, text[160:], 10)
    return Case(" ".join([*(text[i] for i in one), *(text[160 + i] for i in two)]), column(text), None)


def wrong_cell(rng: random.Random) -> Case:
    """The name of one row with a value of another."""
    names, values = table(rng)
    r, other = rng.sample(range(len(names)), 2)
    words = page([[name.split() for name in names], *[[[value] for value in part] for part in values]], blocks=1)
    return Case(f"{names[r]} {values[0][other]} {values[1][r]}", words, None)


def across(rng: random.Random) -> Case:
    """A line of one column of running text read on into the other column."""
    left, right = ([babble(rng, 8) for _ in range(20)] for _ in range(2))
    r = rng.randrange(18)
    return Case(" ".join([*left[r][2:], *right[r][:6]]), page([left, right], blocks=20), None)


def damaged_and_negated(rng: random.Random) -> Case:
    """Two words of 30 are misread on the page, and the quote has a negation more."""
    case = damaged(2)(rng)
    quote = case.quote.split()
    quote.insert(rng.randint(1, len(quote) - 1), rng.choice(["not", "never", "no"]))
    return Case(" ".join(quote), case.words, None)


def other_scripts(rng: random.Random) -> Case:
    """A word or a character of a right-to-left or unspaced quote is another."""
    if rng.random() < 0.5:
        case = right_to_left(rng)
        quote = case.quote.split()
        i = rng.randrange(1, len(quote) - 1)
        near = quote[max(0, i - 2) : i + 3]
        quote[i] = rng.choice([word for word in (ARABIC if quote[0] in ARABIC else HEBREW) if word not in near])
        return Case(" ".join(quote), case.words, None)
    case = unspaced(rng)
    i = rng.randrange(len(case.quote))
    other = rng.choice([char for char in HAN if char != case.quote[i]])
    return Case(case.quote[:i] + other + case.quote[i + 1 :], case.words, None)


ABSENT: dict[str, Maker] = {
    "unrelated": unrelated,
    "one word exchanged": exchanged,
    "a negation more or less": negated,
    "a limiting word more or less": limited,
    "an adverb more": added,
    "a number more or less": counted,
    "a digit changed": renumbered,
    "the opposite word": opposite,
    "a word that looks like it": alike,
    "two words change places": reordered,
    "two sentences spliced": spliced,
    "another row's value": wrong_cell,
    "read across columns": across,
    "misread and negated": damaged_and_negated,
    "other scripts, a word changed": other_scripts,
}


# --- beyond the promise ---------------------------------------------------------------------------------------------


def any_letter(rng: random.Random) -> Case:
    """Two words of 30 with a random letter for another: no misreading that OCR is known for."""
    text = babble(rng, 300)
    while True:
        at = stretch(rng, text, 30)
        fit = [i for i in at if text[i].isalpha() and len(text[i]) > 3]
        if len(fit) > 1:
            break
    there = list(text)
    for i in rng.sample(fit, 2):
        k = rng.randrange(len(text[i]))
        there[i] = text[i][:k] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[i][k + 1 :]
    return Case(" ".join(text[i] for i in at), column(there), tuple(at))


def lost(rng: random.Random) -> Case:
    """Two words of 30, any, are missing on the page."""
    text = babble(rng, 300)
    at = stretch(rng, text, 30)
    gone = set(rng.sample(list(at[1:-1]), 2))
    there = [word for i, word in enumerate(text) if i not in gone]
    return Case(" ".join(text[i] for i in at), column(there), tuple(range(at.start, at.stop - 2)))


def left_out(rng: random.Random) -> Case:
    """The quote leaves out two of 30 words, any, without saying so."""
    text = babble(rng, 300)
    at = stretch(rng, text, 32)
    gone = set(rng.sample(list(at[1:-1]), 2))
    left = tuple(i for i in at if i not in gone)
    return Case(" ".join(text[i] for i in left), column(text), left)


def other_word(rng: random.Random) -> Case:
    """One word of the page is misread as another word."""
    text = babble(rng, 300)
    at = stretch(rng, text, 30)
    seen, read = rng.sample(rng.choice(LOOK_ALIKE), 2)
    i = rng.choice(at[1:-1])
    quote, there = [*text[:i], seen, *text[i:]], [*text[:i], read, *text[i:]]
    return Case(" ".join(quote[at.start : at.stop + 1]), column(there), tuple(range(at.start, at.stop + 1)))


BEYOND: dict[str, Maker] = {
    "1 word of 31 read as another word": other_word,
    "2 words of 30, any letter wrong": any_letter,
    "2 words of 30 lost by the page": lost,
    "2 words of 32 left out of the quote": left_out,
}
