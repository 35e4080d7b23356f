"""What a notebook works on, from its parameter cell and the environment, and where its results go."""

import os
from dataclasses import astuple, fields, replace
from pathlib import Path

import pytest

from kws.data.corpus import CorpusError, folder_corpus
from kws.data.manifest import write_manifest
from kws.research.settings import EFFORTS, Effort, Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("KWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_environment_overrides(monkeypatch):
    monkeypatch.setenv("KWS_KEYWORD", "marvin")
    monkeypatch.setenv("KWS_SEEDS", "1")
    monkeypatch.setenv("KWS_SPLIT_SEED", "4")
    monkeypatch.setenv("KWS_EFFORT", "tiny")
    monkeypatch.setenv("KWS_JOBS", "2")  # of no notebook, but no misspelling either
    found = Settings.from_environment(keyword="happy", seeds=3, epochs=7)
    assert found == Settings("synthetic", "marvin", seeds=1, split_seed=4, epochs=7, effort="tiny")


@pytest.mark.parametrize("name", ["publish", "report", "anew"])
def test_switches(name, monkeypatch):
    assert not getattr(Settings.from_environment(), name)
    for value, means in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv(f"KWS_{name.upper()}", value)
        assert getattr(Settings.from_environment(), name) is means
    monkeypatch.setenv(f"KWS_{name.upper()}", "no")
    with pytest.raises(ValueError, match=f"KWS_{name.upper()} must be 0 or 1, not 'no'"):
        Settings.from_environment()


def test_bad_values(monkeypatch):
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        Settings.from_environment(seeds=0)
    assert Settings.from_environment(views=0).views == 0  # by itself
    for name in ("views", "split_seed"):
        with pytest.raises(ValueError, match=f"{name} must be at least 0"):
            Settings.from_environment(**{name: -1})
    with pytest.raises(ValueError, match="effort is 'huge'; it must be one of tiny, small, full"):
        Settings.from_environment(effort="huge")
    for name in ("talk", "voices", "speech"):
        with pytest.raises(ValueError, match=f"{name} is 'nowhere', which is no folder"):
            Settings.from_environment(**{name: "nowhere"})
    with pytest.raises(ValueError, match="embedding is 'nowhere', which is no file"):
        Settings.from_environment(embedding="nowhere")
    monkeypatch.setenv("KWS_EPOCHS", "many")
    with pytest.raises(ValueError, match="KWS_EPOCHS must be a whole number, not 'many'"):
        Settings.from_environment()


@pytest.mark.parametrize(("talk", "speech"), [("a", "a"), ("a/b", "a"), ("a", "a/b")])
def test_what_is_trained_on_is_not_judged_on(talk, speech):
    for folder in (talk, speech):
        Path(folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ValueError, match="must be apart"):
        Settings.from_environment(talk=talk, speech=speech)


def test_what_is_given_counts_more_than_the_environment(monkeypatch):
    monkeypatch.setenv("KWS_SEEDS", "5")
    monkeypatch.setenv("KWS_KEYWORD", "marvin")
    monkeypatch.setenv("KWS_EPOCHS", "7")
    settings = Settings.from_environment({"keyword": "sheila", "seeds": 2}, seeds=1, epochs=3)
    assert (settings.keyword, settings.seeds, settings.epochs) == ("sheila", 2, 7)


def test_a_typed_word_has_the_ears_that_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment(keyword="high").ear == ""
    (tmp_path / "weights" / "ears").mkdir(parents=True)
    assert Settings.from_environment(keyword="high").ear == "weights/ears"
    monkeypatch.setenv("KWS_EAR", "")
    assert Settings.from_environment(keyword="high").ear == ""
    monkeypatch.delenv("KWS_EAR")
    (tmp_path / "recordings").mkdir()
    assert Settings.from_environment(corpus="recordings", keyword="high").ear == ""


def test_the_keyword_as_one_types_it(monkeypatch):
    monkeypatch.setenv("KWS_KEYWORD", " Hey  Computer")
    settings = Settings.from_environment(clips=60)
    assert settings.keyword == "hey_computer"
    assert settings.open_corpus().words["hey_computer"] > 3
    assert settings.say == ""


@pytest.mark.parametrize(
    ("typed", "say", "keyword", "said"),
    [
        ("R2D2", "", "r2d2", "r two d two"),
        ("Müller", "", "muller", "müller"),
        ("Siobhan", "Shivawn!", "siobhan", "shivawn"),
    ],
)
def test_a_name_that_does_not_tell_how_it_is_said(typed, say, keyword, said, monkeypatch):
    monkeypatch.setenv("KWS_KEYWORD", typed)
    monkeypatch.setenv("KWS_SAY", say)
    settings = Settings.from_environment()
    assert (settings.keyword, settings.say) == (keyword, said)


def test_a_keyword_that_nothing_can_say(monkeypatch):
    monkeypatch.setenv("KWS_KEYWORD", "東京")
    with pytest.raises(ValueError, match="cannot say '東'"):
        Settings.from_environment()
    assert Settings.from_environment(corpus="a folder").keyword == "東京"


def test_corpora(tone_folder):
    assert Settings(str(tone_folder), "low").open_corpus().words["low"] == 40
    with pytest.raises(CorpusError, match="'sheila'"):
        Settings(str(tone_folder), "sheila").open_corpus()
    with pytest.raises(CorpusError, match="no corpus 'nowhere'"):
        Settings("nowhere", "low").open_corpus()


def test_results_of_another_corpus_go_elsewhere(tone_folder, tmp_path):
    """Only the very corpus that a committed manifest lists writes to its folders, and only when asked to."""
    corpus = folder_corpus(tone_folder, "tones")
    settings = Settings(str(tone_folder), "low")
    assert settings.results_names(corpus) == ("tones-low", "tones-low")
    with pytest.raises(CorpusError, match="does not list the clips"):
        replace(settings, publish=True).results_names(corpus)  # there is no manifest
    write_manifest(corpus, tmp_path / "weights" / "low" / "manifest.csv")
    assert settings.results_names(corpus) == ("tones-low", "tones-low")
    assert replace(settings, publish=True).results_names(corpus) == ("low", "low")
    fewer = corpus.without([corpus.clips[0].name])
    with pytest.raises(CorpusError, match="does not list the clips"):
        replace(settings, publish=True).results_names(fewer)
    # A report reads the committed weights of that corpus and draws elsewhere; of another it reads that one's own.
    assert replace(settings, report=True).results_names(corpus) == ("low", "tones-low")
    assert replace(settings, report=True).results_names(fewer) == ("tones-low", "tones-low")


def test_a_misspelt_variable_is_refused(monkeypatch):
    monkeypatch.setenv("KWS_KEYWORDS", "computer")
    with pytest.raises(ValueError, match=r"unknown environment variable KWS_KEYWORDS; there are .*KWS_KEYWORD,"):
        Settings.from_environment()


def test_more_effort_is_more_of_everything():
    tiny, small, full = (astuple(EFFORTS[name]) for name in ("tiny", "small", "full"))
    rounds = [field.name for field in fields(Effort)].index("mining")  # one in the small effort, which is to be quick
    assert all(a <= b <= c for i, (a, b, c) in enumerate(zip(tiny, small, full, strict=True)) if i != rounds)
    assert all(a < b < c for a, b, c in zip(tiny[:6], small[:6], full[:6], strict=True))
