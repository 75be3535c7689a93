"""What is damaged is found; what says something else is not, however alike."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folioscope.domain import Words
from generation.alike import ALIKE
from generation.citations import Match, verify
from generation.folding import damage, telling

OTHER = [
    ("The company reported revenue of 5 million dollars in 2020", "revenue of 5 billion dollars in 2020"),
    ("The evidence was sufficient to convict the defendant", "The evidence was insufficient to convict the defendant"),
    ("The drug is not safe for children under 12 years", "The drug is safe for children under 12 years"),
    ("Profit decreased by 12 percent in 2020", "Profit increased by 12 percent in 2020"),
    ("The company has nine subsidiaries in Germany", "The company has five subsidiaries in Germany"),
    ("The employer shall pay the costs of the move", "The employee shall pay the costs of the move"),
    ("Patients with hypertension were treated at home", "Patients with hypotension were treated at home"),
    ("The plaintiff is able to pay the whole sum", "The plaintiff is unable to pay the whole sum"),
    ("The fee is €500 per year", "The fee is $500 per year"),
    ("The fee is 500 € per year", "The fee is 500 $ per year"),
    ("significant at p > 0.05 for all", "significant at p < 0.05 for all"),
    ("significant at p<0.05 for all", "significant at p≤0.05 for all"),
    ("an error rate of 10⁶ samples", "an error rate of 106 samples"),
    ("an error rate of 10⁻⁶ samples", "an error rate of 10⁶ samples"),
    ("revenue was 500³ thousand", "revenue was 5003 thousand"),
    ("add 1½ cups", "add 11/2 cups"),
    ("growth of 5‰ in all of it", "growth of 5% in all of it"),
    ("The margin was - 5 percent", "The margin was 5 percent"),
    ("The margin was -$5 a share", "The margin was $5 a share"),
    ("The result is notable", "The result is not able"),
    ("It is often read", "It is of ten read"),
    ("The council had the old hill measured again", "The council had the old bill measured again"),
    ("You may feed all of them that lake takes up", "You may feed all of them that take takes up"),
    ("We let the battery lake take the water", "We let the battery take take the water"),
    ("We will pay it in the case of a loss", "We will pay if in the case of a loss"),
]


def page(text: str, per_line: int = 10) -> Words:
    """Words of one column."""
    texts = text.split()
    at = np.arange(len(texts))
    x, y = at % per_line / per_line, at // per_line * 0.02 + 0.1
    boxes = np.stack([x, y, x + 0.9 / per_line, y + 0.015], axis=1).astype(np.float32)
    return Words(texts, boxes, (at // per_line).astype(np.int32), np.zeros(len(texts), np.int32), "text-layer")


def drawn(match: Match) -> set[int]:
    return {i for start, stop in match.ranges for i in range(start, stop)}


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_another_statement_is_unverified_both_ways(one: str, other: str) -> None:
    assert verify(other, page(one)) == Match("unverified")
    assert verify(one, page(other)) == Match("unverified")


def test_the_end_of_another_sentence_is_not_borrowed() -> None:
    words = page("John Smith was born in Paris and Mary Jones was born in London")
    assert verify("Mary Jones was born in Paris", words) == Match("unverified")
    assert verify("Mary Jones was born in London", words).status == "exact"


@pytest.mark.parametrize("limit", ["only", "almost", "may", "if", "some", "up"])
def test_a_word_that_limits_is_neither_added_nor_left_out(limit: str) -> None:
    before, after = "the board in its meeting of March approved", "the plan to build a new plant near the river"
    assert verify(f"{before} {limit} {after}", page(f"{before} {after}")) == Match("unverified")
    assert verify(f"{before} {after}", page(f"{before} {limit} {after}")) == Match("unverified")
    assert verify(f"{before} {after}", page(f"{before} yesterday {after}")).status == "fuzzy"
    assert verify(f"{before} yesterday {after}", page(f"{before} {after}")) == Match("unverified")
    assert verify(f"{before} it {after}", page(f"{before} if {after}")) == Match("unverified")


def test_a_quote_does_not_hang_on_by_its_first_or_last_word() -> None:
    words = page(
        "belongs to the workshop with the weather station and all of its parts in one piece from the very beginning"
    )
    middle = "with the weather station and all of its parts in one piece from the very"
    assert verify(f"the {middle} beginning", words) == Match("unverified")
    assert verify(f"the workshop {middle} beginning", words).status == "exact"


def test_neighbours_that_change_places_are_other_words() -> None:
    texts = CONTENT_WORDS[:60]
    for at in range(20, 30):
        quote = texts[10:50]
        quote[at], quote[at + 1] = quote[at + 1], quote[at]
        assert verify(" ".join(quote), page(" ".join(texts))) == Match("unverified")


def test_a_statement_is_not_cut_out_of_a_word() -> None:
    assert verify("we can do so", page("so we can't do it")) == Match("unverified")
    assert verify("employees can", page("employees can't do so")) == Match("unverified")
    assert verify("compliant offers", page("only non-compliant offers came")) == Match("unverified")
    assert verify("known case", page("a well-known case")).status == "exact"


def test_an_ellipsis_hides_no_negation() -> None:
    words = page("the board approved the merger which was not in fact signed by all of the shareholders in May")
    assert verify("the board approved the merger ... signed by all of the shareholders", words) == Match("unverified")
    assert verify("the board approved the … not in fact signed by all", words).status == "fuzzy"


@pytest.mark.parametrize(
    ("row", "quote"),
    [
        ("Total $ 1,577 100 %", "total 1577"),
        ("Total $ 1,577 100 %", "$1,577 100%"),
        ("500 € 300 €", "500 €"),
        ("from 2017 - 2018 on", "from 2017-2018 on"),
        ("the margin was – 5 percent", "the margin was -5 percent"),
        ("a third-party study", "a thirdparty study"),
        ("a nonprofit group", "a non-profit group"),
        ("ten thou- sand boats with- out a harbour", "ten thousand boats without a harbour"),
        ("the infor- mation of com pany ofthe year", "information of company of the year"),
    ],
)
def test_signs_and_divisions_that_change_nothing_are_exact(row: str, quote: str) -> None:
    assert verify(quote, page(row)).status == "exact"


@pytest.mark.parametrize(
    ("row", "quote"),
    [
        ("the annual governrnent report was publishcd late", "the annual government report was published late"),
        ("the c0mpany's annual rep0rt was published late", "the company's annual report was published late"),
        ("oftbe annual report that was pub lished late", "of the annual report that was published late"),
        ("le resume annuel de la societe generale", "le résumé annuel de la société générale"),
    ],
)
def test_misreadings_are_fuzzy(row: str, quote: str) -> None:
    assert verify(quote, page(row)).status == "fuzzy"


def columns(*blocks: list[str]) -> Words:
    """Blocks side by side, each read to its end before the next."""
    texts, boxes, lines, numbers = [], [], [], []
    for b, block in enumerate(blocks):
        for r, line in enumerate(block):
            for c, word in enumerate(line.split()):
                x, y = 0.05 + b / len(blocks) + 0.05 * c, 0.1 + 0.02 * r
                texts.append(word)
                boxes.append((x, y, x + 0.04, y + 0.015))
                lines.append(100 * b + r)
                numbers.append(b)
    return Words(
        texts, np.array(boxes, np.float32), np.array(lines, np.int32), np.array(numbers, np.int32), "text-layer"
    )


def test_two_columns_of_prose_are_not_read_across() -> None:
    words = columns(
        ["The defendant was declared", "innocent of all the charges"],
        ["guilty of murder", "were two other men"],
    )
    assert verify("The defendant was declared guilty of murder", words) == Match("unverified")
    assert verify("declared innocent of all the charges", words).status == "exact"


def test_a_table_is_read_along_one_row_only() -> None:
    words = columns(["Cost of sales", "Gross profit", "Net profit"], ["10", "20", "30"])
    assert verify("Gross profit 20", words).status == "exact"
    assert verify("Gross profit 20 Net profit 30", words) == Match("unverified")
    assert verify("10 Gross", words) == Match("unverified")


CONTENT = (
    "able account agreement airport ancient animal annual apply approve argue arrive article autumn balance bank "
    "barrel basket begin behave bicycle blanket bottle branch bridge broad budget build butter calendar camera "
    "candle capital carbon careful castle ceiling certain chairman chapter cheap chemical choose church citizen "
    "climate coffee collect colour comfort committee compare complain concert condition confirm congress connect "
    "consider contain contract copper correct cotton council country courage cover create credit culture curtain "
    "customer damage danger daughter decide defend deliver depend describe desert design detail develop diamond "
    "dinner discuss distance doctor drive economy educate election employ engine enjoy entrance envelope evidence "
    "examine expand expect expensive explain factory failure familiar farmer feather fertile festival finance "
    "finger fisher flavour flower foreign forest forget formal fortune freedom friend furniture garden general "
    "gentle glass govern grammar grass ground guard guest guitar habit hammer happen harbour harvest height "
    "history holiday honest hospital hotel hunger husband ignore imagine improve income increase decrease "
    "industry insect island journey judge justice kitchen knowledge label language laugh lawyer leader leather "
    "library limit liquid machine magazine manage market marry material measure medicine member memory metal "
    "mirror modern mountain museum music narrow nature needle neighbour nerve observe ocean offer office orange "
    "order paint paper pencil people perfect picture planet plastic please police popular powder prepare "
    "president prevent price prison private produce promise protect provide public purple quality question quick "
    "railway reason receive record reduce regular religion repeat require rescue respect restaurant result reward "
    "river rough salary school science screen season secret serious shadow shoulder signal silver simple sister "
    "smooth soldier special square station steel strange street strong student subject succeed sugar summer "
    "surface surprise switch system teacher temper theory thread throat ticket tobacco tomorrow tongue travel "
    "treaty trouble umbrella uncle uniform valley vegetable vessel village violent visit voice volume wander "
    "water weather weight whisper window winter wonder yellow young "
)
CONTENT_WORDS = CONTENT.split()
NEGATIONS = ["not", "no", "never", "without", "nicht", "sans"]
NUMBERS = ["two", "three", "five", "nine", "eleven", "hundred", "million", "billion", "7", "12", "2020", "1,577.50"]
prose = st.integers(0, 10**6).map(lambda seed: random.Random(seed).sample(CONTENT_WORDS, 45))
length = st.integers(4, 32)


def test_no_content_word_of_these_tests_is_a_misreading_of_another() -> None:
    assert not [(a, b) for a in CONTENT for b in CONTENT_WORDS if a != b and damage([a], [b]) is not None]


@settings(max_examples=100, deadline=None)
@given(prose, st.integers(2, 5), length, st.data())
def test_an_exchanged_word_is_unverified(texts: list[str], start: int, size: int, data: st.DataObject) -> None:
    quote = texts[start : start + size]
    quote[data.draw(st.integers(0, size - 1))] = data.draw(
        st.sampled_from([w for w in CONTENT_WORDS if w not in texts])
    )
    assert verify(" ".join(quote), page(" ".join(texts))) == Match("unverified")


@settings(max_examples=100, deadline=None)
@given(prose, st.integers(2, 5), length, st.sampled_from(NEGATIONS + NUMBERS), st.data())
def test_a_negation_or_number_on_one_side_alone_is_unverified(
    texts: list[str], start: int, size: int, said: str, data: st.DataObject
) -> None:
    quote = texts[start : start + size]
    at = data.draw(st.integers(1, size - 1))
    longer = [*quote[:at], said, *quote[at:]]
    assert verify(" ".join(longer), page(" ".join(texts))) == Match("unverified")
    there = [*texts[:start], *longer, *texts[start + size :]]
    assert verify(" ".join(quote), page(" ".join(there))) == Match("unverified")


@settings(max_examples=100, deadline=None)
@given(prose, length, st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=2, unique=True), st.data())
def test_a_changed_number_is_unverified(texts: list[str], size: int, pair: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, size - 1))
    quote = [*texts[:at], pair[0], *texts[at:size]]
    there = [*texts[:at], pair[1], *texts[at:]]
    assert verify(" ".join(quote), page(" ".join(there))) == Match("unverified")


SHAPES = {
    "m": "rn",
    "d": "cl",
    "w": "vv",
    "h": "li",
    "l": "1",
    "i": "l",
    "t": "l",
    "e": "c",
    "o": "0",
    "n": "u",
    "b": "h",
}


@settings(max_examples=200, deadline=None)
@given(prose, st.integers(2, 5), st.data())
def test_two_damaged_words_of_thirty_are_found(texts: list[str], start: int, data: st.DataObject) -> None:
    """Misread, but not as another word, or split."""
    there = [[text] for text in texts]
    for i in data.draw(st.lists(st.integers(start + 1, start + 28), min_size=2, max_size=2, unique=True)):
        kind = data.draw(st.sampled_from(["misread", "misread", "split"]))
        word = texts[i]
        if kind == "split":
            cut = data.draw(st.integers(1, len(word) - 1))
            parts = [word[:cut], word[cut:]]
            there[i] = [word] if telling(parts) else parts
        else:
            letters = [k for k, letter in enumerate(word) if letter in SHAPES]
            if letters:
                k = data.draw(st.sampled_from(letters))
                seen = word[:k] + SHAPES[word[k]] + word[k + 1 :]
                there[i] = [word] if {word, seen} <= ALIKE else [seen]
    match = verify(" ".join(texts[start : start + 30]), page(" ".join(text for part in there for text in part)))
    assert match.status in ("exact", "fuzzy")
    before = sum(map(len, there[:start]))
    assert drawn(match) == set(range(before, before + sum(map(len, there[start : start + 30]))))


@settings(max_examples=100, deadline=None)
@given(prose, st.integers(2, 5), length, st.data())
def test_a_word_that_the_page_does_not_have_is_unverified(
    texts: list[str], start: int, size: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, size))
    quote = texts[start : start + size]
    quote.insert(at, data.draw(st.sampled_from([w for w in CONTENT_WORDS if w not in texts])))
    assert verify(" ".join(quote), page(" ".join(texts))) == Match("unverified")


@settings(max_examples=100, deadline=None)
@given(prose, st.integers(2, 5), st.data())
def test_two_words_that_a_quote_of_thirty_leaves_out_are_not_drawn(
    texts: list[str], start: int, data: st.DataObject
) -> None:
    left_out = data.draw(st.lists(st.integers(start + 4, start + 27), min_size=2, max_size=2, unique=True))
    stretch = [i for i in range(start, start + 32) if i not in left_out]
    match = verify(" ".join(texts[i] for i in stretch), page(" ".join(texts)))
    assert match.status == "fuzzy"
    assert drawn(match) == set(stretch)
