"""The voice that reads: what its network is asked, with a stand-in for the archive, which is 57 MB and not in the repository."""

import hashlib

import pytest
import torch

from kws.data.corpus import CorpusError
from kws.voices import silero
from kws.voices.find import files_of, find_voices, open_voice
from kws.voices.silero import SileroVoice
from kws.voices.talk import synthetic_talk
from kws.voices.words import vocabulary


class Network:
    """Says a second of a tone, and keeps what it was asked."""

    speakers = ("en_0", "en_1", "random")

    def __init__(self):
        self.asked = []

    def apply_tts(self, ssml_text, speaker, sample_rate):
        self.asked.append((ssml_text, speaker))
        return torch.sin(torch.arange(sample_rate) / 10)


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "voices" / "silero" / "v3_en.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"an archive")
    monkeypatch.setattr(silero, "SILERO_SHA256", hashlib.sha256(b"an archive").hexdigest())

    class Importer:
        def __init__(self, name):
            assert name == str(path)

        def load_pickle(self, *where):
            assert where == ("tts_models", "model")
            return Network()

    monkeypatch.setattr(torch.package, "PackageImporter", Importer)
    return path


def test_it_is_found_by_its_name(file):
    assert find_voices(file.parent.parent) == [file]
    assert files_of(file) == [file]
    assert isinstance(open_voice(file), SileroVoice)


def test_no_other_file_is_loaded_for_loading_runs_its_code(file):
    file.write_bytes(b"another archive")
    with pytest.raises(CorpusError, match=r"v3_en.pt: is not Silero's .* run make voices"):
        SileroVoice(file)


def test_pace_size_pitch_and_spelling(file):
    voice = SileroVoice(file)
    assert voice.speakers == 2
    assert len(voice.say(["hey", "Jürgen"], 1, pace=0.9, size=1.2, variety=1.0, rhythm=0.85)) == pytest.approx(
        16_000 / 1.2, rel=0.01
    )
    assert voice.model.asked == [('<speak><prosody rate="75%" pitch="+20%">hey Jurgen.</prosody></speak>', "en_1")]


def test_its_talk_is_of_spelt_words_and_its_keyword_as_it_was_typed(file):
    voice = SileroVoice(file)
    talk = synthetic_talk("hey_computer", 0.2, 5, seed=1, speakers=3, voice=voice, progress=False)
    said = [text.split(">")[2].split("<")[0][:-1] for text, _ in voice.model.asked]
    assert said[-5:] == ["hey computer"] * 5
    phrases = said[:-5]
    assert len(phrases) == len(talk.phrases) > 5
    assert {word for phrase in phrases for word in phrase.split()} <= set(vocabulary())
    assert "hey computer" not in phrases
