"""Words are found in their clips, and sounds are those of the chosen clips."""

from dataclasses import replace

import pytest
import torch
from conftest import burst

from kws.scenes import Sounds, Word, halves, sounds_of, word_bounds
from kws.split import speaker_split
from kws.views import decode
from kws.voices.talk import Talk


@pytest.mark.parametrize(("start", "end"), [(0.3, 0.7), (0.0, 0.5), (0.45, 1.0), (0.6, 0.7)])
@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-2])
def test_word_bounds(start, end, noise):
    first, last = word_bounds(burst(500, start, end, noise))
    assert abs(first / 16_000 - start) < 0.021
    assert abs(last / 16_000 - end) < 0.021


def test_bounds_of_silence_are_the_whole_clip_and_a_click_far_away_is_not_the_word():
    assert word_bounds(torch.zeros(16_000, dtype=torch.int16)) == (0, 16_000)
    clip = burst(500, 0.5, 0.9)
    clip[1_000:1_200] = 16_000
    assert word_bounds(clip)[0] >= 0.47 * 16_000


def test_a_faint_last_syllable_after_a_stop_belongs_to_the_word_and_digital_silence_around_it_is_not_its_noise():
    faint = burst(500, 0.3, 0.5).float() + 0.03 * burst(500, 0.65, 0.8, 0.0).float()
    first, last = word_bounds(faint.to(torch.int16))
    assert abs(first / 16_000 - 0.3) < 0.021
    assert abs(last / 16_000 - 0.8) < 0.021
    noisy = burst(500, 0.3, 0.5, 1e-2)
    noisy[:4_000] = noisy[12_000:] = 0
    first, last = word_bounds(noisy)
    assert abs(first / 16_000 - 0.3) < 0.021
    assert abs(last / 16_000 - 0.5) < 0.021


def test_sounds_are_those_of_the_chosen_clips(tone_corpus):
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "low")
    talk = Talk([torch.ones(100, dtype=torch.int16)], [torch.ones(50, dtype=torch.int16)])
    first, second = halves([torch.arange(100, dtype=torch.int16)])
    sounds = sounds_of(clips, "low", split.test, first, talk)
    labels = clips.corpus.labels("low")[torch.from_numpy(split.test)]
    assert len(sounds.keywords) == labels.sum() + 1  # and the synthetic one
    assert len(sounds.words) == (labels == 0).sum()
    assert torch.equal(torch.cat([*first, *second]), torch.arange(100, dtype=torch.int16))


def test_only_well_cut_keywords_are_altered():
    """One twice as long as the others has wrong bounds, it is likely; where no length is usual, all are altered."""
    words = [Word(torch.zeros(16_000, dtype=torch.int16), 0, end) for end in (8_000, 8_500, 7_500, 16_000)]
    assert Sounds(words, [], [], []).clear == words[:3]
    assert Sounds([words[0], replace(words[0], end=80)], [], [], []).clear == [words[0], replace(words[0], end=80)]
    assert Sounds([], [], [], []).clear == []
