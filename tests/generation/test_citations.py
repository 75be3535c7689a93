import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from folioscope.domain import Box, Words
from generation.citations import PAGE_BOX, Match, numbers, verify


def page(*rows: str, blocks: list[int] | None = None) -> Words:
    """Words of rows of text, a row of the page each; cells set apart by `` | `` are lines of their own."""
    texts, boxes, lines, line = [], [], [], 0
    for r, row in enumerate(rows):
        y0 = 0.05 + 0.9 * r / len(rows)
        y1 = y0 + 0.6 / len(rows)
        cells = row.split(" | ")
        for c, cell in enumerate(cells):
            at, step = c / len(cells), 1 / len(cells) / (len(cell) + 1)
            for word in cell.split():
                texts.append(word)
                boxes.append((at, y0, at + step * len(word), y1))
                at += step * (len(word) + 1)
                lines.append(line)
            line += 1
    numbered = np.array(lines, np.int32)
    return Words(texts, np.array(boxes, np.float32).reshape(-1, 4), numbered, numbered, "text-layer")


def drawn(match: Match, words: Words) -> str:
    return " ".join(words.texts[i] for start, stop in match.ranges for i in range(start, stop))


@pytest.mark.parametrize(
    ("quote", "row"),
    [
        ("the firm’s “first” offer — now", 'The firm\'s "first" offer - now closed'),
        ("five official flowers", "ﬁve oﬃcial ﬂowers bloom"),
        ("well known", "a well-known case"),
        ("Total: $1,577.50", "total $ 1577.50 in all"),
        ("from 2017–2018", "from 2017-2018 on"),
        ("STRASSE", "Die Straße ist lang"),
        ("minus -5 degrees", "at minus −5 degrees outside"),
        ("ａｂｃ １２", "abc 12 x"),
        ("cafe\u0301 open", "a café open late"),
    ],
)
def test_spelling_of_the_same_letters_is_exact(quote: str, row: str) -> None:
    assert verify(quote, page("nothing here", row)).status == "exact"


@pytest.mark.parametrize(
    ("quote", "row"),
    [
        ("cat", "concatenate the strings"),
        ("15", "1 5"),
        ("15", "1.5"),
        ("5", "-5"),
        ("577", "1,577"),
        ("1.5", "1 .5"),
        ("5", ".5"),
        ("sales of 5,363 million", "sales of 5,369 million"),
        ("nothing of the kind was said", "an entirely different sentence stands here"),
        ("", "some words"),
        ("…", "some words"),
        ("— !", "some — words !"),
    ],
)
def test_what_is_not_there_draws_nothing(quote: str, row: str) -> None:
    assert verify(quote, page(row)) == Match("unverified")


def test_hyphenation_and_line_breaks() -> None:
    words = page("we sought infor-", "mation about it")
    match = verify("information about", words)
    assert match.status == "exact"
    assert match.ranges == ((2, 5),)
    assert len(match.boxes) == 2
    assert match.boxes[0] == words.box(2, 3)
    assert match.boxes[1] == words.box(3, 5)


def test_one_box_for_each_line() -> None:
    words = page("alpha beta gamma", "delta epsilon zeta", "eta theta iota")
    assert verify("beta gamma delta epsilon zeta eta", words).boxes == (
        words.box(1, 3),
        words.box(3, 6),
        words.box(6, 7),
    )


def test_a_row_across_cells_read_column_by_column() -> None:
    texts = ["Sales", "Cost", "10", "20"]
    boxes = [(0.1, 0.1, 0.3, 0.12), (0.1, 0.2, 0.3, 0.22), (0.6, 0.1, 0.7, 0.12), (0.6, 0.2, 0.7, 0.22)]
    numbered = np.arange(4, dtype=np.int32)
    words = Words(texts, np.array(boxes, np.float32), numbered, numbered, "text-layer")
    match = verify("Cost 20", words)
    assert match.status == "exact"
    assert match.ranges == ((1, 2), (3, 4))
    assert match.boxes == (words.box(1, 2).union(words.box(3, 4)),)


def test_repeated_text_takes_the_first_or_the_nearest() -> None:
    words = page("total 5", "other 6", "total 5")
    assert verify("total 5", words).ranges == ((0, 2),)
    assert verify("total 5", words, near=3).ranges == ((4, 6),)


def test_fuzzy_boxes_leave_out_what_the_quote_does() -> None:
    words = page("the board has approved the new annual budget of 40 million for schools and roads in March last year")
    match = verify("has approved the new budget of 40 million for schools and roads in March last year", words)
    assert match.status == "fuzzy"
    assert match.ranges == ((2, 6), (7, 19))
    assert match.boxes == (words.box(2, 6), words.box(7, 19))


def test_a_misread_word_still_counts() -> None:
    words = page("the annual governrnent report was publishcd in 2019")
    match = verify("annual government report was published in 2019", words)
    assert match.status == "fuzzy"
    assert match.ranges == ((1, 8),)


def test_fuzzy_never_bends_a_number() -> None:
    words = page("the board approved the new annual budget of 40 million in March last year")
    assert verify("the board approved the new annual budget of 41 million in March", words).status == "unverified"


def test_a_stray_word_is_not_drawn() -> None:
    words = page("the end and now the board approved a new yearly budget for the whole of the coming year")
    match = verify("the board approvcd a new yearly budget for the whole of the coming year", words)
    assert match.ranges == ((4, 18),)


def test_words_left_out_with_an_ellipsis() -> None:
    words = page("the board approved the new budget after a long debate and went home at nine")
    match = verify("the board approved the new … and went home at nine", words)
    assert match.status == "fuzzy"
    assert match.ranges == ((0, 5), (10, 15))
    assert verify("and went home at nine ... the board approved the new", words).status == "unverified"


def test_dot_leaders_are_no_ellipsis() -> None:
    assert verify("Introduction ....... 5", page("Introduction ....... 5")).status == "exact"


def test_a_page_without_words() -> None:
    assert verify("anything", Words.empty()) == Match("visual", (), (PAGE_BOX,))


def test_chinese_draws_part_of_a_line() -> None:
    words = page("公司去年的收入增长了百分之十二。")
    match = verify("收入增长了", words)
    assert match.status == "exact"
    whole = words.box(0, 1)
    assert match.boxes[0].x0 == pytest.approx(whole.x0 + (whole.x1 - whole.x0) * 5 / 16, abs=1e-5)
    assert match.boxes[0].x1 == pytest.approx(whole.x0 + (whole.x1 - whole.x0) * 10 / 16, abs=1e-5)
    assert verify("收入减少了百分之二十五", words).status == "unverified"
    assert verify("公司今年的收入增长了百分之十二", words).status == "unverified"


def test_thai_arabic_hebrew_hindi_korean() -> None:
    assert verify("รายได้ของบริษัท", page("ปีที่แล้วรายได้ของบริษัทเพิ่มขึ้น")).status == "exact"
    assert verify("إيرادات الشركة", page("زادت إيرادات الشركة في العام")).status == "exact"
    assert verify("הכנסות החברה", page("גדלו הכנסות החברה השנה")).status == "exact"
    assert verify("कंपनी की आय", page("पिछले साल कंपनी की आय बढ़ी")).status == "exact"
    assert verify("회사의 매출", page("작년 회사의 매출 증가")).status == "exact"
    assert verify("कंपनी का आय", page("पिछले साल कंपनी की आय बढ़ी")).status == "unverified"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$1,577.50 and (3) or 12%", {"1577.5", "3", "12"}),
        ("on 10.2.2020", {"10.2", "2020"}),
        ("FY2018, 1.0 and 007", {"2018", "1", "7"}),
        ("none", set()),
    ],
)
def test_numbers(text: str, found: set[str]) -> None:
    assert numbers(text) == found


LETTERS = "abcdefghijklmnopqrstuvwxyz"
word = st.text(LETTERS, min_size=2, max_size=9) | st.integers(0, 99999).map(str)
pages = st.lists(st.lists(word, min_size=3, max_size=9), min_size=5, max_size=12).map(
    lambda rows: page(*[" ".join(row) for row in rows])
)


@settings(max_examples=50, deadline=None)
@given(pages, st.data())
def test_a_true_quote_is_always_found(words: Words, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 1))
    stop = data.draw(st.integers(start + 1, len(words)))
    match = verify(words.text(start, stop), words, near=start)
    assert match.status == "exact"
    assert match.ranges == ((start, stop),)
    assert len(match.boxes) == len(set(words.lines[start:stop].tolist()))
    assert all(box == Box(*np.clip(box, 0, 1)) for box in match.boxes)


@settings(max_examples=50, deadline=None)
@given(pages, st.lists(st.text("αβγδεζ", min_size=3, max_size=8), min_size=1, max_size=30))
def test_an_absent_quote_is_never_drawn(words: Words, quote: list[str]) -> None:
    assert verify(" ".join(quote), words) == Match("unverified")


@settings(max_examples=50, deadline=None)
@given(pages, st.data())
def test_a_changed_number_is_never_drawn(words: Words, data: st.DataObject) -> None:
    at = [i for i, text in enumerate(words.texts) if text.isdigit()]
    assume(at)
    i = data.draw(st.sampled_from(at))
    quote = list(words.texts)
    quote[i] = str(int(quote[i]) + 100_000)
    assert verify(" ".join(quote), words).status == "unverified"
