"""``kws train WORD``: from a typed word to files that listen, by one command, which goes on where it was."""

from pathlib import Path

import pytest
import soundfile
import torch
from conftest import small_ears, tone

from kws.report import train_word
from kws.report.command import main
from kws.research import material
from kws.research.settings import EFFORTS, Effort
from kws.research.stream_choice import read_choice
from kws.research.word_study import WordStudy
from kws.streaming import load_stream
from kws.streaming.listen import file_of
from recipes.seed_streams import seed_streams


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small ear, little to hear, recorded speech of two tones, and no voices but espeak-ng's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("typed"))
        patch.setenv("KWS_CLIPS", "400")
        Path("lines").mkdir()
        for hertz in (300, 700):
            soundfile.write(f"lines/{hertz}.flac", tone(hertz), 16_000)
        patch.setattr(train_word, "fetch_or_say", lambda name: "lines" if name == "lines" else "")
        patch.setitem(EFFORTS, "tiny", Effort(8, 32, 0.1, 0.1, 1, 2, 0.0, (1,), 1, word_scenes=24))
        small_ears(patch, "weights/ears")
        patch.setattr(material, "SPEAKERS", 10)
        patch.setattr(material, "FEW_SPEAKERS", 10)
        yield Path.cwd()


@pytest.fixture(scope="module")
def trained(folder):
    assert main(["train", "Hey, Marvin!", "--effort", "tiny"]) == 0
    return folder / "weights" / "synthetic-hey_marvin"


def test_there_is_a_stream_of_each_size_that_listens(trained):
    for name in WordStudy.students:
        stream = load_stream(trained / f"{name}.pt")
        assert stream.keyword == "hey_marvin"
        assert len(stream(torch.zeros(16_000))) > 0
        assert (trained / f"{name}.onnx").is_file()


def test_a_second_run_trains_nothing_and_says_what_to_expect(trained, monkeypatch, capsys):
    monkeypatch.setattr(WordStudy, "_fit", lambda self: pytest.fail("trained again"))
    assert main(["train", "hey marvin", "--effort", "tiny"]) == 0
    said = capsys.readouterr().out
    assert "'hey_marvin', said 'hey marvin'" in said
    assert said.count("at 10 dB SNR it misses") == len(WordStudy.students)
    assert "false alarms an hour of synthetic talk full of words like it" in said
    assert "kws listen hey_marvin" in said


def test_streams_of_all_seeds_have_thresholds_of_their_own(trained, tmp_path):
    """For a benchmark: the chosen one is what is shipped."""
    written = seed_streams("hey_marvin", tmp_path)
    choice = read_choice(trained / "seeds" / "streaming_choice.json")
    assert [path.name for path in written] == [
        f"{listener.replace(', seed ', '-')}.onnx" for listener in choice.validation
    ]
    for name, seed in choice.seeds.items():
        assert (tmp_path / f"{name}-{seed}.onnx").read_bytes() == (trained / f"{name}.onnx").read_bytes()
    with pytest.raises(FileNotFoundError, match="run kws train nothing"):
        seed_streams("nothing", tmp_path)


def test_the_detector_is_found_by_its_word(trained):
    assert file_of("hey marvin").resolve() == trained / "streaming_base.pt"
    assert file_of("Hey_Marvin").resolve() == trained / "streaming_base.pt"
    assert file_of("some/file.pt") == Path("some/file.pt")
    assert file_of("nothing") == Path("nothing")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "type a word or a phrase"),
        ("this is a very long phrase that nobody would wait for", "2 s is the longest"),
        ("привет", "привет"),
    ],
)
def test_what_cannot_be_a_keyword_is_refused_before_anything_is_made(folder, capsys, word, said):
    assert main(["train", word, "--effort", "tiny"]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(folder, capsys):
    assert main(["train", "marvin", "--effort", "tiny", "--positive", "nowhere"]) == 2
    assert "positive is 'nowhere', which is no folder" in capsys.readouterr().err


def test_the_word_asked_for_counts_more_than_the_environment(folder, monkeypatch):
    monkeypatch.setenv("KWS_KEYWORD", "sheila")
    monkeypatch.setenv("KWS_CORPUS", "elsewhere")
    monkeypatch.setenv("KWS_SEEDS", "4")
    settings = train_word.word_settings("R2D2", effort="tiny")
    assert (settings.corpus, settings.keyword, settings.say) == ("synthetic", "r2d2", "r two d two")
    assert (settings.seeds, settings.effort, settings.ear) == (4, "tiny", "weights/ears")
    assert train_word.word_settings("marvin", seeds=2).seeds == 2
