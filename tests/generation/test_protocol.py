"""Replies in pieces: how they are cut makes no difference, nothing raises, nothing that was said is lost."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from folioscope.domain import DraftSegment, Quote
from generation import protocol
from generation.protocol import LONGEST_MARK, Reply


def read(*pieces: str) -> tuple[str, list[DraftSegment]]:
    """All text and all segments of a reply."""
    reply = Reply()
    out = [shown for piece in pieces for shown in reply.feed(piece)] + reply.close()
    return "".join(o for o in out if isinstance(o, str)), [o for o in out if isinstance(o, DraftSegment)]


def said(text: str, *quotes: tuple[str, int] | tuple[str, int, bool]) -> DraftSegment:
    return DraftSegment(text, tuple(Quote(*quote) for quote in quotes))


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(ends)]


def letters(text: str) -> str:
    return "".join(text.split())


MARKED = [
    ("It lasts two years [[1: period of two years]].", [said("It lasts two years.", ("period of two years", 0))]),
    (
        "It lasts. [[page 2: “a b”]] [[3: c]]\n\nSo it is.",
        [said("It lasts.", ("a b", 1), ("c", 2)), said("\n\nSo it is.")],
    ),
    (
        "I looked. Sales fell [[2 figure: lowest bar]].",
        [said("I looked."), said("Sales fell.", ("lowest bar", 1, True))],
    ),
    ("Up 5% [[1: up 5%]] and down [[2: down]].", [said("Up 5%", ("up 5%", 0)), said("and down.", ("down", 1))]),
    ("- a [[1: x]]\n- b [[2: y]]", [said("- a", ("x", 0)), said("\n- b", ("y", 1))]),
    ("Dr. Lee of No. 5 came [[1: x]].", [said("Dr. Lee of No. 5 came.", ("x", 0))]),
    ("他来了。她走了[[1: 走了]]。", [said("他来了。"), said("她走了。", ("走了", 0))]),
    ("[[1: the words]]", [said("the words", ("the words", 0))]),
    ("[[none]]", []),
    ("", []),
    (" \n", []),
    ("Plain.", [said("Plain.")]),
    ("a[0] and [[1]] and [b", [said("a[0] and [[1]] and [b")]),
    ("[[[1: q]]", [said("[", ("q", 0))]),
    ("Cut here [[1: the first wor", [said("Cut here", ("the first", 0))]),
    ("Cut [[1: wor", [said("Cut [[1: wor")]),
    ("See [[ this [[2: q]]", [said("See [[ this", ("q", 1))]),
]


@pytest.mark.parametrize(("reply", "wanted"), MARKED)
def test_prose_with_marks(reply: str, wanted: list[DraftSegment]) -> None:
    assert read(reply)[1] == wanted
    assert read(*reply) == read(reply)


WHOLE = '{"segments": [{"text": "Up 5%.", "quotes": [{"page": 1, "quote": "rose by 5%", "figure": false}]}]}'
JSON = [
    (WHOLE, [said("Up 5%.", ("rose by 5%", 0))]),
    (f"```json\n{WHOLE}\n```", [said("Up 5%.", ("rose by 5%", 0))]),
    (f"{WHOLE} I hope that helps.", [said("Up 5%.", ("rose by 5%", 0)), said("I hope that helps.")]),
    ('{"segments": []}', []),
    (
        '{"segments": [{"quotes": [{"page": "2", "quote": "q", "figure": true}], "text": "a"}]}',
        [said("a", ("q", 1, True))],
    ),
    ('{"segments": ["one", {"text": "two", "quotes": []}]}', [said("one"), said("two")]),
    ('{"segments": [{"text": "a\\n\\u00e9\\ud83d\\ude00\\ud83d", "quotes": []}]}', [said("a\né😀�")]),
    ('{"segments": [{"text": "half of it', [said("half of it")]),
    ('{"segments": [{"text": "a", "quotes": [{"page": 1, "quote": "the first wor', [said("a", ("the first", 0))]),
    ('{"segments": [{"text": "a", "quotes": [{"page": 1, "quote": "q", "fig', [said("a", ("q", 0))]),
    ('{"segments": [{"text": "a", "quotes": [{"pag', [said("a")]),
    (
        '{"segments": [{"text": "a", "quotes": [7, {"quote": "q"}, {"page": -5, "quote": "r"}]}]}',
        [said("a", ("q", -1), ("r", -1))],
    ),
    ('{"segments": [{"text": "", "quotes": [{"page": 1, "quote": "q"}]}]}', [said("q", ("q", 0))]),
    ('{"answer": "hello"}', [said('{"answer": "hello"}')]),
    ('{"segments": [{"answer": "hello"}]}', [said('{"answer": "hello"}')]),
    ("{x} is a set", [said("{x} is a set")]),
]


@pytest.mark.parametrize(("reply", "wanted"), JSON)
def test_json(reply: str, wanted: list[DraftSegment]) -> None:
    assert read(reply)[1] == wanted
    assert read(*reply) == read(reply)


def test_text_comes_while_its_segment_is_open() -> None:
    reply = Reply()
    assert reply.feed('{"segments": [{"text": "It lasts') == ["It lasts"]
    assert reply.feed(' two years.", "quotes": [') == [" two years."]
    assert reply.feed('{"page": 1, "quote": "q"}]}') == [said("It lasts two years.", ("q", 0))]
    assert reply.feed(', {"text": "And') == [" And"]
    reply = Reply()
    assert reply.feed("It lasts two") == ["It lasts two"]
    assert reply.feed(" years [[1: per") == [" years"]
    assert reply.feed("iod]]. And") == [".", said("It lasts two years.", ("period", 0)), " And"]


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ('\n<think>Page 2? [[2: no]] {"segments":[</think>\n\nTwo years [[1: two years]].', "Two years."),
        (
            '<think></think>{"segments": [{"text": "Two years.", "quotes": [{"page": 1, "quote": "two years"}]}]}',
            "Two years.",
        ),
        ("<think>It was cut [[1: here]]", ""),
        ("<thin ice [[1: thin ice]]", "<thin ice"),
    ],
)
def test_what_a_model_says_to_itself_is_no_answer(reply: str, wanted: str, step: int) -> None:
    text, segments = read(*(reply[i : i + step] for i in range(0, len(reply), step)))
    assert text == wanted
    assert [segment.text for segment in segments] == ([wanted] if wanted else [])
    assert all(len(segment.quotes) == 1 for segment in segments)


def test_malformed_json_is_shown_as_it_came() -> None:
    text, _ = read('{"segments": [{"text": "A", quotes: nope}, {"text": "B is here"}]}')
    assert text.startswith("A")
    assert "B is here" in text


def test_depth_and_length_do_no_harm() -> None:
    read('{"segments": [' + '{"a":' * 100_000)
    read("[[" * 50_000)
    long = "[[1: " + "x" * LONGEST_MARK + "]] after"
    assert letters(read(long)[0]) == letters(long)


quote = st.builds(lambda words: " ".join(words), st.lists(st.text("abcé漢🙂-,'", min_size=1), min_size=1, max_size=5))
segment = st.builds(
    lambda text, quotes: DraftSegment(text, tuple(quotes)),
    quote,
    st.lists(st.builds(Quote, quote, st.integers(0, 20), st.booleans()), max_size=3),
)


@settings(deadline=None)
@given(st.lists(segment, max_size=4), st.booleans(), st.lists(st.integers(0, 10**6), max_size=8))
def test_json_round_trip(segments: list[DraftSegment], ascii_only: bool, places: list[int]) -> None:
    listed = [
        {
            "text": one.text,
            "quotes": [{"page": q.page + 1, "quote": q.text, "figure": q.figure} for q in one.quotes],
        }
        for one in segments
    ]
    reply = json.dumps({"segments": listed}, ensure_ascii=ascii_only)
    text, found = read(*cut(reply, places))
    assert found == segments
    assert text == " ".join(one.text for one in segments)


broken = st.lists(
    st.sampled_from(
        ["[[", "]]", "[", "1: a b", "none", " ", "\n", ". ", "Word", "{", '{"segments":[', '{"text":"', '"', "\\",
         "\\u12", "ud83d", '","quotes":[', '{"page":1,"quote":"', "}", "]}", ",", "```", "json\n",
         "figure", "é🙂", "。"]
    ) | st.text(max_size=6),
    max_size=25,
).map("".join)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(broken, st.lists(st.integers(0, 10**6), max_size=12))
@example('{"segments":[{"text":"\\\\ud83d', [22, 23, 24])
def test_any_cut_of_anything_reads_the_same(reply: str, places: list[int]) -> None:
    text, segments = read(reply)
    assert read(*cut(reply, places)) == (text, segments)
    assert read(*reply) == (text, segments)
    assert letters(text) == letters("".join(one.text for one in segments))
    text.encode()


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_characters="[{`", exclude_categories=["Cs"])))
def test_what_is_no_form_is_text(reply: str) -> None:
    assert letters(read(reply)[0]) == letters(reply)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("abc.é ", min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_marks_take_nothing_from_the_text(texts: list[str]) -> None:
    text, segments = read("".join(f"{one} [[1: quoted]]" for one in texts))
    assert letters(text) == letters("".join(texts))
    assert sum(len(one.quotes) for one in segments) == len(texts)


@pytest.mark.parametrize("end", ["", '"}]}', '", "quotes": []}]}'])
def test_an_element_is_decoded_once_however_it_is_cut(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To try at each piece takes minutes for a long text with quotation marks."""
    tries = 0

    def counted(raw: str) -> tuple[object, int]:
        nonlocal tries
        tries += 1
        return decoded(raw)

    decoded = protocol._decoded
    monkeypatch.setattr(protocol, "_decoded", counted)
    reply = Reply()
    for letter in '{"segments": [{"text": "' + 'a \\"b\\" {c} ' * 100 + end:
        reply.feed(letter)
    assert tries <= 1
