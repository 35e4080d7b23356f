"""A user's own recordings: cut to the word, parted between training and choice, and refused where they hold something else."""

import numpy as np
import pytest
import torch
from conftest import STEPS

from kws.data.audio import SAMPLE_RATE
from kws.data.corpus import CorpusError
from kws.data.storage import save_flac
from kws.model import CRNN
from kws.research.own import SHARE, own_phrases, own_words, part_of, repeated, unlike
from kws.scenes import Word


def tone(hertz: float, seconds: float, before: float = 0.0, after: float = 0.0) -> torch.Tensor:
    """A tone (samples,) int16 between stretches of faint noise."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(0).normal(0, 20, int((before + seconds + after) * SAMPLE_RATE))
    first = int(before * SAMPLE_RATE)
    noise[first : first + len(time)] += 8000 * np.sin(2 * np.pi * hertz * time)
    return torch.from_numpy(noise.astype(np.int16))


def test_the_word_is_found_in_a_longer_recording(tmp_path):
    save_flac(tone(400, 0.5, before=1.5, after=1.0), tmp_path / "one.flac", SAMPLE_RATE)
    (word,) = own_words(tmp_path)
    assert (word.end - word.start) / SAMPLE_RATE == pytest.approx(0.5, abs=0.06)
    assert word.start == pytest.approx(0.3 * SAMPLE_RATE, abs=0.03 * SAMPLE_RATE)
    assert len(word.waveform) == pytest.approx(1.1 * SAMPLE_RATE, abs=0.06 * SAMPLE_RATE)


def test_recordings_without_the_word_are_cut_at_their_pauses(tmp_path):
    both = torch.cat([tone(400, 2.5), torch.zeros(SAMPLE_RATE, dtype=torch.int16), tone(700, 2.5)])
    save_flac(both, tmp_path / "talk.flac", SAMPLE_RATE)
    assert [round(len(phrase) / SAMPLE_RATE, 1) for phrase in own_phrases(tmp_path)] == [2.5, 2.5]


@pytest.mark.parametrize(
    ("sound", "said"),
    [(torch.zeros(SAMPLE_RATE, dtype=torch.int16), "silent"), (tone(400, 11), "11 s long")],
    ids=["silent", "long"],
)
def test_a_recording_without_one_word_is_named(tmp_path, sound, said):
    save_flac(sound, tmp_path / "bad.flac", SAMPLE_RATE)
    with pytest.raises(CorpusError, match=f"bad.flac: {said}"):
        own_words(tmp_path)


def test_a_folder_without_sound_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no sound file"):
        own_words(tmp_path)


@pytest.mark.parametrize(
    ("count", "chosen_on"), [(1, []), (2, [1]), (4, [3]), (5, [4]), (20, [4, 9, 14, 19])], ids=lambda value: str(value)
)
def test_some_are_kept_for_the_threshold_and_none_for_the_test(count, chosen_on):
    items = list(range(count))
    assert part_of(items, "validation") == chosen_on
    assert part_of(items, "train") == [i for i in items if i not in chosen_on]
    assert part_of(items, "test") == []


def test_few_recordings_count_as_much_as_many_voices():
    keywords = repeated(["mine", "mine too"], others=700)
    assert len(keywords) / (len(keywords) + 700) == pytest.approx(SHARE, abs=0.01)
    assert keywords.count("mine") == keywords.count("mine too")


def test_another_word_is_told_from_the_word():
    rng = np.random.default_rng(1)

    def said(hertz: float) -> Word:
        waveform = tone(hertz * rng.uniform(0.95, 1.05), 0.4)
        return Word(waveform, 0, len(waveform))

    torch.manual_seed(0)
    ear = CRNN(STEPS)
    keywords, words = [said(400) for _ in range(20)], [said(hertz) for hertz in (900, 1500, 2500) for _ in range(10)]
    own = [said(400), said(1500), said(400), said(2500)]
    assert unlike(own, keywords, words, ear) == [1, 3]
