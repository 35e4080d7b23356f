"""espeak-ng in a process of its own: the same samples, and a crash costs one word."""

import faulthandler
import os
import signal

import numpy as np
import pytest
import torch

from kws.voices import Espeak
from kws.voices.apart import EspeakApart, EspeakCrash
from kws.voices.speakers import Mouth, make_speaker

SAID = (["h", "'a"], "en-gb-scotland+f3", 160, 50, 50)


@pytest.fixture
def crashes(monkeypatch):
    """espeak-ng crashes at the pitches, by name of a signal, that are put in here."""
    at, say = {}, Espeak.say

    def said(self, phonemes, voice, words_per_minute, pitch, pitch_range):
        if pitch in at:
            faulthandler.disable()  # pytest's would tell of it at length
            os.kill(os.getpid(), at[pitch])
        return say(self, phonemes, voice, words_per_minute, pitch, pitch_range)

    monkeypatch.setattr(Espeak, "say", said)
    return at


def test_it_says_the_same():
    here, apart = Espeak(), EspeakApart()
    assert apart.sample_rate == here.sample_rate
    assert apart.phonemes("sheila") == here.phonemes("sheila")
    for _ in range(2):  # the flutter goes on from word to word
        assert np.array_equal(apart.say(*SAID), here.say(*SAID))


def test_its_errors_are_told():
    apart = EspeakApart()
    with pytest.raises(ValueError, match="no voice 'xx\\+f1'"):
        apart.say(["S"], "xx+f1", 160, 50, 50)
    assert len(apart.say(*SAID))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_after_a_crash_it_starts_anew(crashes, number):
    crashes[66] = number
    apart = EspeakApart()
    with pytest.raises(EspeakCrash, match="say of .*f3"):
        apart.say(*SAID[:3], 66, 50)
    assert np.array_equal(apart.say(*SAID), Espeak().say(*SAID))


def test_one_that_hangs_counts_as_crashed(monkeypatch):
    monkeypatch.setattr(Espeak, "say", lambda *_: signal.pause())
    apart = EspeakApart()
    monkeypatch.setattr("kws.voices.apart.PATIENCE", 0.2)
    with pytest.raises(EspeakCrash):
        apart.say(*SAID)


def test_a_mouth_says_it_otherwise(crashes):
    def heard():
        rng = np.random.default_rng(0)
        speaker = make_speaker("0", rng, torch.Generator().manual_seed(0))
        return Mouth(rng).say(["h", "'a"], speaker)

    usual = heard()
    crashes.update(dict.fromkeys(range(100), signal.SIGSEGV))
    with pytest.raises(EspeakCrash):
        heard()
    for pitch in range(60):  # only high ones do not go well
        del crashes[pitch]
    said = heard()
    assert len(said)
    assert not torch.equal(said[: len(usual)], usual[: len(said)])
