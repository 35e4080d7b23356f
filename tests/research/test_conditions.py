"""Noise that is added, recorded or unheard, alike for every network; and the words that sound like the keyword."""

import pytest
import torch

from kws.data.acoustics import mix_at_snr, power
from kws.data.audio import to_float
from kws.data.augment import cut_noises
from kws.data.corpus import CorpusError, load_noises
from kws.features import BATCH, log_mels
from kws.research import unheard
from kws.research.conditions import confusable_words, in_noise
from kws.research.unheard import UNHEARD, unheard_noise
from kws.split import Split, speaker_split
from kws.views import ClipData, TrainingData, decode, training_data


@pytest.fixture(scope="module")
def clips(tone_corpus) -> ClipData:
    return decode(tone_corpus)


@pytest.fixture(scope="module")
def data(clips) -> TrainingData:
    return training_data(clips, "low", speaker_split(clips.corpus, "low"), views=0)


def test_recorded_noise_is_as_it_was_published(clips, data):
    generator, expected = torch.Generator().manual_seed(0), data.log_mel.clone()
    for batch in torch.from_numpy(data.split.test).split(BATCH):
        waveforms = to_float(clips.waveforms[batch])
        noise = cut_noises(load_noises(clips.corpus), *waveforms.shape, generator)
        expected[batch] = log_mels(mix_at_snr(waveforms, noise, torch.full((len(batch), 1), 5.0)))
    assert torch.equal(in_noise(clips, data, 5.0).log_mel, expected)


@pytest.mark.parametrize("kind", UNHEARD)
def test_unheard_noise_is_added_to_the_subset_alone_and_repeats(kind, clips, data, monkeypatch):
    monkeypatch.setattr("kws.research.conditions.BATCH", 5)  # 24 clips in several batches
    monkeypatch.setattr(unheard, "BATCH", 5)
    noisy = in_noise(clips, data, 0.0, noise=kind)
    changed = (noisy.log_mel != data.log_mel).flatten(1).any(1)
    assert changed.nonzero().flatten().tolist() == data.split.test.tolist()
    assert torch.equal(in_noise(clips, data, 0.0, noise=kind).log_mel, noisy.log_mel)
    assert not torch.equal(in_noise(clips, data, 0.0, seed=1, noise=kind).log_mel, noisy.log_mel)


@pytest.mark.parametrize("kind", UNHEARD)
def test_each_clip_has_noise_of_its_own_length(kind, clips, data):
    noise = torch.cat(list(unheard_noise(kind, clips, data)))
    assert noise.shape == (len(data.split.test), 16_000)
    assert torch.isfinite(noise).all()
    assert power(noise).min() > 1e-6
    assert len(noise.unique(dim=0)) == len(noise)


def test_babble_is_of_other_words_by_other_speakers(clips, data, monkeypatch):
    """Each clip is a constant, so that the sum of some tells which they are."""
    test, corpus = data.split.test, clips.corpus
    drawn = []
    draw = unheard._draw
    monkeypatch.setattr(unheard, "_draw", lambda among, count, rng: drawn.append(draw(among, count, rng)) or drawn[-1])
    (noise,) = unheard_noise("babble", clips, data)
    assert len(noise) == len(test)
    # The draws are mended in place: what is left is what was said.
    voices = [clip for clip in drawn if len(clip) == len(test)]
    assert len(voices) >= unheard.VOICES
    for said in torch.stack(voices).T:
        assert all(corpus.clips[i].word != "low" for i in said)
        assert all(i in test for i in said.tolist())
    for i, said in zip(test, torch.stack(voices).T, strict=True):
        assert corpus.clips[i].speaker not in {corpus.clips[j].speaker for j in said}


def test_babble_needs_another_speaker(clips, data):
    one = [i for i, clip in enumerate(clips.corpus.clips) if clip.speaker == clips.corpus.clips[0].speaker]
    alone = TrainingData(
        clips.corpus, "low", Split("", 0, data.split.train, data.split.validation, torch.tensor(one).numpy(), ""),
        data.labels, data.log_mel, data.views, "",
    )  # fmt: skip
    with pytest.raises(CorpusError, match="babble needs other words of two speakers"):
        list(unheard_noise("babble", clips, alone))


def test_speech_shaped_noise_has_the_spectrum_of_other_words_and_no_course(clips, data):
    (noise,) = unheard_noise("speech-shaped", clips, data)
    others = data.split.test[data.labels[data.split.test].numpy() == 0]
    expected, found = (
        torch.fft.rfft(sound).abs().square().mean(0)[: 8000 // 50 * 50].unflatten(0, (-1, 50)).sum(1)
        for sound in (to_float(clips.waveforms[others]), noise)
    )
    loud = expected > 0.01 * expected.sum()
    torch.testing.assert_close((found / found.sum())[loud], (expected / expected.sum())[loud], rtol=0.4, atol=0)


def test_swelling_noise_is_brown_from_60_hz_on_and_swells(clips, data):
    (noise,) = unheard_noise("swelling", clips, data)
    spectrum = torch.fft.rfft(noise).abs().square().mean(0)
    assert spectrum[:40].sum() < 0.01 * spectrum.sum()
    assert spectrum[100:200].sum() / spectrum[200:400].sum() == pytest.approx(2, rel=0.05)  # of 1 / f^2
    level = noise.unflatten(1, (-1, 400)).square().mean(2)
    assert (level.amax(1) > 20 * level.amin(1)).all()


def test_an_unknown_noise_is_refused(clips, data):
    with pytest.raises(ValueError, match="noise is 'rain'; it must be one of babble, speech-shaped, swelling"):
        in_noise(clips, data, 0.0, noise="rain")


def test_confusable_words_are_the_nearest_by_sound():
    words = ["nine", "happen", "puppy", "unhappy", "visual", "nappy", "four"]
    assert confusable_words(words, "happy", 3) == ["happen", "nappy", "puppy"]  # of one distance: by name
    assert len(confusable_words(words, "happy", 20)) == 6  # without the one that holds it
    assert confusable_words(["two", "too", "nine"], "you", 1) == ["too", "two"]
