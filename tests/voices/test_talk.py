"""Talk never says the keyword, and its keywords do."""

import numpy as np
import pytest
import torch

from kws.voices import talk as talk_module
from kws.voices.phonemes import holds
from kws.voices.speakers import Mouth
from kws.voices.talk import synthetic_talk


@pytest.mark.parametrize("keyword", ["happy", "hey_computer"])
def test_talk_never_says_the_keyword_and_its_keywords_do(keyword, monkeypatch):
    """What the voices are told to say, by the phonemes; and the same seed gives the same sound."""
    told: list[list[str]] = []
    real = Mouth.say
    monkeypatch.setattr(
        Mouth, "say", lambda self, phonemes, *a, **k: told.append(phonemes) or real(self, phonemes, *a, **k)
    )
    monkeypatch.setattr(talk_module, "CONFUSABLE_SHARE", 0.6)
    monkeypatch.setattr(
        talk_module, "_confusable", lambda sound, rng: [sound, sound[:-1]]
    )  # half of them would be the keyword
    talk = synthetic_talk(keyword, 0.3, keywords=2, progress=False)
    sound = Mouth(np.random.default_rng(0)).espeak.phonemes(keyword.replace("_", " "))
    assert len(told) == len(talk.phrases) + 2
    assert not any(holds(phonemes, sound) for phonemes in told[:-2])
    assert told[-2:] == [sound, sound]
    assert sum(map(len, talk.phrases)) >= 0.3 * 60 * 16_000
    assert all(p.dtype == torch.int16 and p.abs().max() > 1_000 for p in talk.phrases + talk.keywords)
    again = synthetic_talk(keyword, 0.3, keywords=2, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(talk.phrases, again.phrases, strict=True))


def test_the_same_sound_whatever_the_threads():
    """A spectrum on two threads differs by a bit here and there."""
    said = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        said.append(synthetic_talk("happy", 0.3, keywords=2, seed=1, progress=False))
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(said[0].phrases, said[1].phrases, strict=True))
