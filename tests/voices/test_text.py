"""What a user types is said as a person would say it, has a folder of its own, and is warned of where it makes a bad keyword."""

import re

import pytest

from kws.voices import Espeak
from kws.voices.text import folder_name, number_words, spoken, warning_for


@pytest.mark.parametrize(
    ("typed", "said", "folder"),
    [
        ("sheila", "sheila", "sheila"),
        (" Hey  Computer\n", "hey computer", "hey_computer"),
        ("hey_computer", "hey computer", "hey_computer"),
        ("hey, computer", "hey computer", "hey_computer"),
        ("Jarvis!", "jarvis", "jarvis"),
        ("“Smart-Mirror”…", "smart-mirror", "smart_mirror"),
        ("../up", "up", "up"),
        ("R2D2", "r two d two", "r2d2"),
        ("r2d2", "r two d two", "r2d2"),
        ("C-3PO", "c three p o", "c_3po"),
        ("7up", "seven up", "7up"),
        ("7 up", "seven up", "7_up"),
        ("mp3", "m p three", "mp3"),
        ("a4", "eigh four", "a4"),
        ("10", "ten", "10"),
        ("007", "zero zero seven", "007"),
        ("HAL 9000", "hal nine thousand", "hal_9000"),
        ("1,000", "one thousand", "1000"),
        ("3.14", "three point one four", "3_point_1_4"),
        ("7:30", "seven thirty", "7_30"),
        ("1st", "1st", "1st"),
        ("the 80's", "the 80s", "the_80s"),
        ("AC/DC", "ac dc", "ac_dc"),
        ("A.I.", "eigh i", "a_i"),
        ("u.s.a", "u s eigh", "u_s_a"),
        ("call me. now", "call me now", "call_me_now"),
        ("hey.com", "hey dot com", "hey_dot_com"),
        ("o'clock", "o'clock", "oclock"),
        ("don’t", "don't", "dont"),
        ("'kay", "kay", "kay"),
        ("rock 'n' roll", "rock and roll", "rock_and_roll"),
        ("H&M", "h and m", "h_and_m"),
        ("c++", "c plus plus", "c_plus_plus"),
        ("100%", "one hundred percent", "100_percent"),
        ("Müller", "müller", "muller"),
        ("mu\u0308ller", "müller", "muller"),
        ("Straße", "straße", "strasse"),
        ("CAFÉ", "café", "cafe"),
        ("Łódź", "łódź", "lodz"),
        ("İzmir", "izmir", "izmir"),
        ("Ｒ２", "r two", "r2"),
        ("əlif", "əlif", "u0259lif"),
    ],
)
def test_what_is_typed_is_said_as_a_person_would(typed, said, folder):
    assert (spoken(typed), folder_name(typed)) == (said, folder)
    assert spoken(said) == said


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "cannot say '': type a word or a phrase"),
        (" \t", "type a word or a phrase"),
        ("!?-_'", "type a word or a phrase"),
        ("東京", "cannot say '東' in '東京': write it in letters of English"),
        ("москва", "letters of English"),
        ("καλημέρα", "letters of English"),
        ("٣", "letters of English"),
        ("hey 👋", "letters of English"),
        ("5$", r"cannot say '\$' in '5\$': .* or as a word"),
        ("a=b", "cannot say '='"),
        ("hey\0you", r"control or invisible character \(U\+0000\)"),
        ("hey\x1b[1m", r"U\+001B"),
        ("soft\u00adhyphen", r"U\+00AD"),
        ("\ufeffhey", r"U\+FEFF"),
        ("hey\udcff", r"U\+DCFF"),
        ("a" * 101, "it has 101 characters, a keyword 100 at most"),
    ],
)
def test_what_nothing_can_say(typed, message):
    for refuses in (spoken, folder_name):
        with pytest.raises(ValueError, match=message) as caught:
            refuses(typed)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("13", "thirteen"),
        ("20", "twenty"),
        ("42", "forty two"),
        ("100", "one hundred"),
        ("365", "three hundred sixty five"),
        ("1000", "one thousand"),
        ("1905", "nineteen oh five"),
        ("1984", "nineteen eighty four"),
        ("1900", "nineteen hundred"),
        ("2001", "two thousand one"),
        ("2026", "twenty twenty six"),
        ("9001", "nine thousand one"),
        ("12345", "one two three four five"),
    ],
)
def test_numbers(digits, words):
    assert " ".join(number_words(digits)) == words


def test_a_folder_is_a_safe_name_for_every_letter():
    for letter in map(chr, range(0x20, 0x250)):
        try:
            name = folder_name(f"{letter}x{letter}")
        except ValueError:
            continue
        assert re.fullmatch("[a-z0-9][a-z0-9_]*", name)
        assert folder_name(name) == name


def warned(word: str) -> str | None:
    espeak = Espeak()
    phonemes = espeak.phonemes(spoken(word))
    return warning_for(phonemes, len(espeak.say(phonemes, "en-us", 170, 50, 50)) / espeak.sample_rate)


@pytest.mark.parametrize(
    ("word", "reasons"),
    [
        ("no", {"short", "commonest"}),
        ("know", {"short", "commonest"}),
        ("a", {"short", "commonest"}),
        ("because", {"commonest"}),
        ("bob", {"short"}),
        ("sheila", set()),
        ("marvin", set()),
        ("happy", set()),
        ("alexa", set()),
        ("r2d2", set()),
        ("hey computer", set()),
        ("yes please", set()),
    ],
)
def test_a_bad_keyword_is_warned_of_with_the_reason(word, reasons):
    warning = warned(word) or ""
    assert {reason for reason in ("short", "commonest") if reason in warning} == reasons
    assert bool(warning) == bool(reasons)


def test_the_length_alone_warns_too():
    assert "0.30 s" in (warning_for(["h", "'a", "p", "i"], 0.3) or "")
    assert warning_for(["h", "'a", "p", "i"], 0.4) is None


def test_accents_are_heard():
    espeak = Espeak()
    assert espeak.phonemes(spoken("Müller")) != espeak.phonemes(spoken("muller"))
    assert espeak.phonemes(spoken("A.I."))[0].endswith("eI")
