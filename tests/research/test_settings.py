from pathlib import Path

import pytest

from kws.data.corpus import CorpusError, folder_corpus
from kws.data.manifest import write_manifest
from kws.research.settings import Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in (
        "CORPUS",
        "KEYWORD",
        "SEEDS",
        "EPOCHS",
        "VIEWS",
        "CLIPS",
        "SCENES",
        "TALK",
        "VOICES",
        "SPEECH",
        "CACHE",
        "PUBLISH",
    ):
        monkeypatch.delenv(f"KWS_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_environment_overrides(monkeypatch):
    monkeypatch.setenv("KWS_KEYWORD", "marvin")
    monkeypatch.setenv("KWS_SEEDS", "1")
    settings = Settings.from_environment(keyword="happy", seeds=3, epochs=7)
    assert (settings.keyword, settings.seeds, settings.epochs, settings.corpus) == ("marvin", 1, 7, "synthetic")


def test_bad_values(monkeypatch):
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        Settings.from_environment(seeds=0)
    assert Settings.from_environment(views=0).views == 0  # by itself
    with pytest.raises(ValueError, match="views must be at least 0"):
        Settings.from_environment(views=-1)
    with pytest.raises(ValueError, match="voices is 'nowhere', which is no folder"):
        Settings.from_environment(voices="nowhere")
    with pytest.raises(ValueError, match="embedding is 'nowhere', which is no file"):
        Settings.from_environment(embedding="nowhere")
    for talk, speech in (("a", "a"), ("a/b", "a"), ("a", "a/b")):
        Path(talk).mkdir(parents=True, exist_ok=True)
        Path(speech).mkdir(parents=True, exist_ok=True)
        with pytest.raises(ValueError, match="must be apart"):
            Settings.from_environment(talk=talk, speech=speech)
    monkeypatch.setenv("KWS_EPOCHS", "many")
    with pytest.raises(ValueError, match="KWS_EPOCHS must be a whole number, not 'many'"):
        Settings.from_environment()


def test_the_keyword_as_one_types_it(monkeypatch):
    monkeypatch.setenv("KWS_KEYWORD", " Hey  Computer")
    settings = Settings.from_environment(clips=60)
    assert settings.keyword == "hey_computer"
    assert settings.open_corpus().words["hey_computer"] > 3


def test_corpora(tone_folder):
    assert Settings(str(tone_folder), "low").open_corpus().words["low"] == 40
    with pytest.raises(CorpusError, match="'sheila'"):
        Settings(str(tone_folder), "sheila").open_corpus()
    with pytest.raises(CorpusError, match="no corpus 'nowhere'"):
        Settings("nowhere", "low").open_corpus()


def test_results_of_another_corpus_go_elsewhere(tone_folder, tmp_path, monkeypatch):
    """Only the very corpus that a committed manifest lists writes to its folder, and only when asked to."""
    corpus = folder_corpus(tone_folder, "tones")
    settings = Settings(str(tone_folder), "low")
    write_manifest(corpus, tmp_path / "weights" / "low" / "manifest.csv")
    assert settings.results_name(corpus) == "tones-low"
    monkeypatch.setenv("KWS_PUBLISH", "1")
    assert settings.results_name(corpus) == "low"
    with pytest.raises(CorpusError, match="does not list the clips"):
        settings.results_name(corpus.without([corpus.clips[0].name]))


def test_a_misspelt_variable_is_refused(monkeypatch):
    monkeypatch.setenv("KWS_KEYWORDS", "computer")
    with pytest.raises(ValueError, match=r"unknown environment variable KWS_KEYWORDS; there are .*KWS_KEYWORD,"):
        Settings.from_environment()
