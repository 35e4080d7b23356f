"""The last trials as a table: those asked for, in order, in lines that fit a page."""

import csv

import pytest
from conftest import ROOT

from kws.report import trials
from kws.report.trials import last_trials, shortened


@pytest.fixture
def committed(monkeypatch):
    monkeypatch.chdir(ROOT)
    with open(trials.TRIALS, newline="") as file:
        return list(csv.DictReader(file))


def test_the_last_trials_of_a_part_in_their_order(committed):
    rows = [row for row in committed if row["part"] == "two stages"]
    head, _, *lines = last_trials("two stages", count=3).splitlines()
    assert head.split() == ["tried", "values", "against", "against", "values", "verdict"]
    assert len(lines) == 3
    for line, row in zip(lines, rows[-3:], strict=True):
        assert line.startswith(row["tried"][:10])
        assert line.endswith(row["verdict"])
        assert row["values"] in line


def test_several_parts_are_mixed_as_they_came(committed):
    parts = ("corpus", "base")
    rows = [row for row in committed if row["part"] in parts]
    lines = last_trials(parts, count=len(rows)).splitlines()[2:]
    assert [line.split()[0].rstrip("…") for line in lines] == [row["tried"].split()[0] for row in rows]


def test_no_line_is_longer_than_a_page(committed):
    for part in {row["part"] for row in committed}:
        assert max(map(len, last_trials(part, count=1000).splitlines())) <= 100


def test_a_part_that_nothing_was_tried_of_is_named(committed):
    with pytest.raises(ValueError, match=r"no trials of elephants; there are those of base, .*two stages"):
        last_trials(["base", "elephants"])


def test_without_the_file_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert last_trials("base") == "docs/trials.csv is not here; the repository has every trial in it"


@pytest.mark.parametrize(
    ("text", "width", "found"),
    [
        ("two words", 9, "two words"),
        ("two words", 8, "two…"),
        ("one, two three", 11, "one, two…"),
        ("one, two three", 8, "one…"),
        ("unbroken", 5, "unbr…"),
    ],
)
def test_a_text_is_cut_between_words(text, width, found):
    assert shortened(text, width) == found
