"""What stands in docs/: the tables parse and are described, the diary is dated, and sentences can be read."""

import csv
import re
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = sorted((ROOT / "docs/results").glob("*.csv"))
PROSE = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "recipes/README.md"])
INTERVALS = ("one_minus_auc", "au_fa_fr", "au_fa_fr_at_sc_prevalence", "missed_percent", "false_alarms_per_hour")


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; a row that is too long or too short fails."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert rows
    assert len(set(header)) == len(header)
    assert {len(row) for row in rows} == {len(header)}
    return [dict(zip(header, row, strict=True)) for row in rows]


def described_columns(text: str) -> dict[str, list[str]]:
    """Columns of each file, as the tables of a README give them, with the named lists of columns written out."""
    shorthand = {}
    for name, listed in re.findall(r"^- \*(\w+)\*: (.*)", text, flags=re.M):
        columns = []
        for part in listed.split(", "):
            names = re.findall(r"`([a-z]\w*)`", part)
            with_interval = "_low" in part or "each with" in listed
            columns += [n + end for n in names for end in (("", "_low", "_high") if with_interval else ("",))]
        shorthand[name] = columns
    rows = re.findall(r"^\| `(\w+\.csv)` \|.*\| ([^|]+) \|$", text, flags=re.M)
    return {
        file: [
            c
            for plain, short in re.findall(r"`(\w+)`|\*(\w+)\*", cell)
            for c in ([plain] if plain else shorthand[short])
        ]
        for file, cell in rows
    }


def test_every_table_has_the_columns_that_its_readme_names() -> None:
    described = described_columns((ROOT / "docs/results/README.md").read_text())
    assert {path.name: list(read(path)[0]) for path in RESULTS} == described


def test_every_column_is_explained() -> None:
    explained = set()
    for line in (ROOT / "docs/results/README.md").read_text().split("## Columns")[1].splitlines():
        explained |= set(re.findall(r"`(\w+)`", line.split("|")[1])) if line.startswith("| `") else set()
    for path in RESULTS:
        assert {re.sub(r"_(low|high)$", "", column) for column in read(path)[0]} - explained == set(), path.name


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_mean_lies_within_its_interval(path: Path) -> None:
    for row in read(path):
        for name in INTERVALS:
            if row.get(f"{name}_low"):
                assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
        if row.get("missed_percent") and "missed" in row:
            assert float(row["missed_percent"]) == pytest.approx(
                100 * int(row["missed"]) / int(row["keywords"]), abs=0.051
            )


def test_trials_have_a_date_a_verdict_and_a_measure_that_is_explained() -> None:
    rows = read(ROOT / "docs/trials.csv")
    text = (ROOT / "docs/README.md").read_text()
    explained = [set(re.findall(r"`([^`]+)`", section)) for section in re.split(r"^## ", text, flags=re.M)]
    columns, parts, measures = explained[1:4]
    assert set(rows[0]) <= columns
    assert {row["part"] for row in rows} <= parts
    prefixes = tuple(measure.partition(" a/b")[0] for measure in measures)
    assert [row["measure"] for row in rows if row["values"] and not row["measure"].startswith(prefixes)] == []
    assert all(row["tried"] and (row["values"] or row["note"]) for row in rows)
    assert {row["verdict"] for row in rows} == {"adopted", "negative", "no change"}
    dates = [date.fromisoformat(row["date"]) for row in rows]
    assert dates == sorted(dates)


def test_the_diary_is_dated_newest_first_and_says_what_came_of_it() -> None:
    titles = re.findall(r"^## (.*)", (ROOT / "docs/log.md").read_text(), flags=re.M)
    entries = [re.fullmatch(r"(\d{4}-\d\d-\d\d): .+ \((adopted|negative|no change)\)", title) for title in titles]
    assert len(entries) >= 25
    assert all(entries), titles
    dates = [date.fromisoformat(entry[1]) for entry in entries]
    assert dates == sorted(dates, reverse=True)


def hard_sentences(text: str) -> tuple[int, list[str]]:
    """Number of sentences of at least four words, and those over 30 words, with 6 numbers or with 3 semicolons."""
    text = re.sub(
        r"```.*?```",
        "",
        "\n".join(t for t in text.splitlines() if not t.lstrip().startswith(("|", "!", "#"))),
        flags=re.S,
    )
    sentences = [t for t in re.split(r"(?<=[.!?:])\s+", re.sub(r"\s+", " ", text)) if len(t.split()) >= 4]
    hard = [t for t in sentences if len(t.split()) > 30 or len(re.findall(r"\d[\d.,e-]*", t)) >= 6 or t.count(";") >= 3]
    return len(sentences), hard


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_can_be_read(path: Path) -> None:
    sentences, hard = hard_sentences(path.read_text())
    assert len(hard) <= 0.1 * sentences, hard
