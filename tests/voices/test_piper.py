"""Neural voices: phonemes to IPA, pace and size, the same sound again; with a made-up voice in Piper's format that says noise."""

import ctypes
import json

import numpy as np
import pytest
import torch
from conftest import SAMPLES, SIGNS, write_voice

from kws.data.corpus import CorpusError
from kws.voices.espeak import Espeak
from kws.voices.find import find_voices
from kws.voices.phonemes import CONSONANTS, VOWELS
from kws.voices.piper import NeuralVoice, ipa
from kws.voices.speakers import Mouth
from kws.voices.talk import synthetic_talk
from kws.voices.words import COMMON_WORDS, WORDS


@pytest.fixture
def voice(tmp_path):
    return write_voice(tmp_path / "noise.onnx")


def test_phonemes_become_ipa():
    assert ipa(["h", "'a", "p", "i"]) == "hˈæpi"
    assert ipa(["tS", "'3:", "tS"]) == "tʃˈɜːtʃ"
    espeak = Espeak()
    words = [espeak.phonemes(word) for word in {*WORDS, *COMMON_WORDS}]
    words += [[consonant, vowel] for consonant in CONSONANTS for vowel in VOWELS]
    assert {sign for word in words for sign in ipa(word)} <= set(SIGNS)  # none of espeak-ng's own names is left


def test_words_are_said_as_espeak_spells_them():
    """espeak-ng can write the IPA itself, of words that it is given as text; but for an r it doubles and a schwa it drops it is the same."""
    espeak, in_ipa = Espeak(), 0x02

    def spelt(word):
        text = ctypes.c_char_p(word.encode())
        return espeak._library.espeak_TextToPhonemes(ctypes.byref(text), 1, in_ipa).decode().replace(" ", "")

    wrong = {word for word in WORDS if ipa(espeak.phonemes(word)) != spelt(word)}
    assert wrong <= {"during", "real", "separate"}


def test_pace_and_size(voice):
    """Start, end and each sign, all but the end followed by a blank; at 16 kHz."""
    seconds = SAMPLES * (2 * (4 + 1 + 2) + 3) / 22050  # "hæpi", a space, "tu"
    words = [["h", "'a", "p", "i"], ["t", "u"]]
    seconds += 2 * SAMPLES / 22050  # and the stress mark
    speaker = NeuralVoice(voice)
    assert len(speaker.say(words)) / 16000 == pytest.approx(seconds, rel=0.01)
    assert len(speaker.say(words, pace=2.0)) / 16000 == pytest.approx(seconds / 2, rel=0.01)
    assert len(speaker.say(words, size=1.3)) / 16000 == pytest.approx(seconds, rel=0.01)
    assert len(speaker.say([["h", "'a", "p", "Q"]])) < len(speaker.say([["h", "'a", "p", "i"]]))  # a sign it has not


def test_the_same_calls_give_the_same_sound(voice):
    first, second = NeuralVoice(voice), NeuralVoice(voice)
    a = [first.say([["h", "'a"]]) for _ in range(2)]
    assert not torch.equal(*a)
    assert all(torch.equal(x, second.say([["h", "'a"]])) for x in a)
    assert not torch.equal(a[0], NeuralVoice(voice, seed=1).say([["h", "'a"]]))


def test_one_of_many_speakers(tmp_path):
    many = NeuralVoice(write_voice(tmp_path / "many.onnx", speakers=2))
    assert many.speakers == 2
    loud, quiet = (many.say([["h", "'a", "p", "i"]], speaker).std() for speaker in (0, 1))
    assert quiet < 0.2 * loud


def test_an_older_voice_says_the_nearest_sound(voice):
    """Without the barred i it says the i of *fit*, as long; without the mark of a syllabic n the n alone."""
    speaker = NeuralVoice(voice)
    whole = [len(speaker.say(words)) for words in ([["b", "I#"]], [["b", "n-"]])]
    described = voice.with_name("noise.onnx.json")
    config = json.loads(described.read_text())
    described.write_text(
        json.dumps(config | {"phoneme_id_map": {s: i for s, i in SIGNS.items() if s not in "ᵻ\u0329"}})
    )
    older = NeuralVoice(voice)
    assert len(older.say([["b", "I#"]])) == whole[0]
    assert len(older.say([["b", "n-"]])) < whole[1]


def test_what_is_no_voice_is_refused(tmp_path, voice):
    assert find_voices(tmp_path) == [voice]
    with pytest.raises(CorpusError, match="no voice of Piper or Kokoro"):
        find_voices(tmp_path / "nowhere")
    described = voice.with_name("noise.onnx.json")
    config = json.loads(described.read_text())
    described.write_text(json.dumps(config | {"phoneme_id_map": {s: i for s, i in SIGNS.items() if s not in "ʃŋ"}}))
    with pytest.raises(CorpusError, match="no sign for ŋ ʃ"):
        NeuralVoice(voice)
    described.write_text(json.dumps(config))
    voice.write_bytes(b"not ONNX")
    with pytest.raises(CorpusError, match=r"noise.onnx: onnxruntime cannot load it"):
        NeuralVoice(voice)
    described.write_text('{"audio": {}}')
    with pytest.raises(CorpusError, match="not that of a Piper voice"):
        NeuralVoice(voice)


def test_the_talk_of_a_voice_is_all_its_own(voice, monkeypatch):
    """Noise fills all of a phrase, at every frequency; espeak-ng gives phonemes and says nothing."""
    monkeypatch.setattr(Mouth, "say", lambda *_, **__: pytest.fail("espeak-ng speaks"))

    def high(phrase):
        power = np.abs(np.fft.rfft(phrase.double().numpy())) ** 2
        return power[len(power) // 4 : len(power) * 3 // 8].sum() / power.sum()

    talk, again = (synthetic_talk("happy", 0.5, 40, voice=NeuralVoice(voice), progress=False) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(talk.phrases, again.phrases, strict=True))
    assert np.mean([high(k) > 0.15 for k in talk.keywords]) > 0.7  # the others are heard by a dull microphone
    assert len(talk.keywords) == 40
