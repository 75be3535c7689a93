"""Terms: numbers, hyphens, scripts, languages."""

import pytest

from retrieval.analysis import LANGUAGES, TextAnalyzer, language_of, plain_number, split

ANALYZER = TextAnalyzer()


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1,234.5", "1234.5"),
        ("1,234", "1234"),
        ("12,345,678", "12345678"),
        ("1.234,5", "1234.5"),
        ("1.234.567", "1234567"),
        ("12,5", "12.5"),
        ("1.234", "1.234"),
        ("3.2.1", "3.2.1"),
        ("1,2,3", "1,2,3"),
        ("31.12.2023", "31.12.2023"),
        ("2,0000", "2.0000"),
    ],
)
def test_numbers_have_one_form(written, plain):
    assert plain_number(written) == plain
    assert split(f"({written})") == [plain]


def test_words_are_case_folded_and_compatibility_forms_unified():
    assert split("STRASSE Straße ﬁnance ｆｕｌｌ ½") == ["strasse", "strasse", "finance", "full", "1", "2"]


@pytest.mark.parametrize("text", ["agree-\nment", "agree\u2010\nment", "agree\u00ad\nment", "agree\u00adment"])
def test_hyphenation_is_undone(text):
    assert split(f"the {text} of") == ["the", "agreement", "of"]


def test_other_hyphens_stay():
    assert split("10-K e-mail 2018-\n2019 -\n") == ["10", "k", "e", "mail", "2018", "2019"]


def test_unspaced_scripts_become_character_pairs():
    assert split("東京都の税金 2023年") == ["東京", "京都", "都の", "の税", "税金", "2023", "年"]
    assert split("PDF文件") == ["pdf", "文件"]
    assert split("ภาษี") == ["ภา", "าษ", "ษี"]


def test_combining_marks_stay_in_their_word():
    assert split("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The agreement was signed by both parties in the spring of that year.", "english"),
        ("Der Vertrag wurde von beiden Parteien im Frühjahr unterzeichnet.", "german"),
        ("Le contrat a été signé par les deux parties au printemps.", "french"),
        ("El contrato fue firmado por las dos partes en la primavera.", "spanish"),
        ("O contrato foi assinado pelas duas partes na primavera.", "portuguese"),
        ("Il contratto è stato firmato dalle due parti nella primavera.", "italian"),
        ("Договор был подписан обеими сторонами в этом году.", "russian"),
        ("Sopimus on allekirjoitettu ja se tuli voimaan, kun molemmat olivat valmiita.", "finnish"),
        ("A szerződés aláírása után és a feltételek szerint nem volt vita.", "hungarian"),
        ("Umowa została podpisana przez obie strony i jest ważna dla nich.", "polish"),
        ("Sözleşme iki taraf için de geçerlidir ve bir yıl sonra biter.", "turkish"),
        ("Η σύμβαση υπογράφηκε από τα δύο μέρη και είναι σε ισχύ.", "greek"),
        ("وقع العقد في الربيع من هذا العام على يد الطرفين", "arabic"),
        ("Договор", "russian"),
        ("Revenue 2018 2017 2016", "english"),
        ("x v v v co 2018", "english"),
        ("", "english"),
    ],
)
def test_the_language_is_told(text, language):
    assert language_of(split(text)) == language


def test_inflected_forms_meet_and_function_words_go():
    assert ANALYZER.terms("The contracts of the parties") == ANALYZER.terms("contract party")
    assert ANALYZER.terms("die Verträge der Parteien und") == ANALYZER.terms("der Vertrag und die Partei")
    assert ANALYZER.terms("what is the") == []


def test_what_is_longer_than_a_word_is_cut():
    assert ANALYZER.terms("x" * 10_000) == ["x" * 64]


def test_a_short_query_stands_for_the_stems_of_all_languages():
    german = set(ANALYZER.terms("die Verträge und der Umsatz"))
    words = ANALYZER.alternatives("Verträge Umsatz")
    assert all(len(stems) == 1 + len(LANGUAGES) for stems in words)
    assert all(german & set(stems) for stems in words)
    assert words[0][0] == ANALYZER.terms("Verträge")[0]


def test_a_query_whose_language_is_told_stands_for_one_stem_a_word():
    assert ANALYZER.alternatives("What were the revenues of the company?") == [("revenu",), ("compani",)]


def test_matches_number_the_words_of_the_query():
    words = ["Total", "revenues:", "The", "company's", "total", "compa-", "nies"]
    assert ANALYZER.matches("What is the total of the companies?", words) == {0: 0, 3: 1, 4: 0, 5: 1, 6: 1}
    assert ANALYZER.matches("of the", words) == {}
    assert ANALYZER.matches("total", []) == {}


def test_a_keyword_matches_on_a_page_in_another_language():
    page = ["Die", "Verträge", "sind", "von", "den", "Parteien", "und", "der", "Bank", "nicht", "gekündigt", "worden"]
    assert ANALYZER.matches("Vertrag", page) == {1: 0}
