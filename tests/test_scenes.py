"""Scenes tell where their keywords are, are the same from the same seed, and their labels are those of the times told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kws import talk as talk_module
from kws.data import decode
from kws.distill import DistillConfig
from kws.model import CRNN, CRNNConfig
from kws.scenes import SceneConfig, Sounds, Word, halves, long_stream, make_scene, sounds_of, word_bounds
from kws.split import speaker_split
from kws.stream_training import IGNORED, frame_labels, step_frames, stream_data, teach_stream, train_stream
from kws.streaming import StreamingCRNN
from kws.synthetic import Mouth
from kws.talk import Talk, _holds, synthetic_talk
from kws.train import TrainConfig, Trainer

QUIET = SceneConfig(noise_share=0.0, room_share=0.0, speed=(1.0, 1.0), piece_gain_db=(0.0, 0.0), no_speech=0.0)


def burst(frequency: float, start: float, end: float, noise: float = 1e-4) -> torch.Tensor:
    """A tone within a second of faint noise, int16."""
    time = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * frequency * time) * ((time >= start) & (time < end))
    tone += noise * np.random.default_rng(0).standard_normal(16_000)
    return torch.from_numpy((tone * 32767).astype(np.int16))


def tones() -> Sounds:
    """The keyword is high, other words are low."""
    keyword, other = burst(3000, 0.3, 0.7), burst(300, 0.2, 0.6)
    noise = (1000 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)
    return Sounds([Word(keyword, *word_bounds(keyword))], [Word(other, *word_bounds(other))], [], [noise])


@pytest.mark.parametrize(("start", "end"), [(0.3, 0.7), (0.0, 0.5), (0.45, 1.0), (0.6, 0.7)])
@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-2])
def test_word_bounds(start, end, noise):
    first, last = word_bounds(burst(500, start, end, noise))
    assert abs(first / 16_000 - start) <= 0.02
    assert abs(last / 16_000 - end) <= 0.02


def test_bounds_of_silence_are_the_whole_clip_and_a_click_far_away_is_not_the_word():
    assert word_bounds(torch.zeros(16_000, dtype=torch.int16)) == (0, 16_000)
    clip = burst(500, 0.5, 0.9)
    clip[1_000:1_200] = 16_000
    assert word_bounds(clip)[0] >= 0.47 * 16_000


def test_keywords_are_where_the_scene_says():
    """The high tone sounds between a keyword's start and end, and nowhere else."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        scene = make_scene(tones(), replace(QUIET, altered_share=0.0, part_share=0.0, splice_share=0.0), rng)
        spectrum = torch.stft(scene.waveform, 320, 160, window=torch.hann_window(320), return_complex=True).abs()
        high = spectrum[60] > 0.3 * spectrum.max()  # bin 60 is 3 kHz
        said, near = torch.zeros(2, len(high), dtype=torch.bool)
        for start, end in scene.keywords:
            assert 0 <= start < end <= 4
            said[round(start * 100) + 4 : round(end * 100) - 4] = True
            near[max(round(start * 100) - 4, 0) : round(end * 100) + 5] = True
            found += 1
        assert high[said].all()
        assert not high[~near].any()
    assert found > 30


def test_the_same_seed_gives_the_same_scene():
    sounds, config = tones(), SceneConfig()
    one, two, other = (make_scene(sounds, config, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.waveform, two.waveform)
    assert one.keywords == two.keywords
    assert not torch.equal(one.waveform, other.waveform)
    assert torch.isfinite(one.waveform).all()
    assert one.waveform.abs().max() <= 1


def test_the_long_stream_says_every_keyword_once_at_its_snr():
    sounds = tones()
    sounds = replace(sounds, keywords=sounds.keywords * 7)
    loud, faint = long_stream(sounds, 10.0), long_stream(sounds, 30.0)
    assert len(loud.keywords) == 7
    assert loud.keywords == faint.keywords
    assert all(end + 2 <= len(loud.waveform) / 16_000 for _, end in loud.keywords)
    ends = [end for _, end in loud.keywords]
    assert all(start - before >= 1.99 for (start, _), before in zip(loud.keywords[1:], ends, strict=False))
    clean = long_stream(sounds, 300.0).waveform
    spectrum = torch.stft(clean, 320, 160, window=torch.hann_window(320), return_complex=True).abs()
    high = spectrum[60] > 0.3 * spectrum[60].max()
    said, near = torch.zeros(2, len(high), dtype=torch.bool)
    for start, end in loud.keywords:
        said[round(start * 100) + 4 : round(end * 100) - 4] = True
        near[round(start * 100) - 4 : round(end * 100) + 5] = True
    assert high[said].all()
    assert not high[~near].any()
    for scene, snr in ((loud, 10), (faint, 30)):
        noise = scene.waveform - clean
        spoken = clean[clean.abs() > 1e-9].square().mean()
        assert 10 * torch.log10(spoken / noise.square().mean()) == pytest.approx(snr, abs=0.5)


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


def test_frame_labels():
    """A keyword from 1.0 to 1.5 s: neither until 0.1 s after it, keyword until 0.45 s, neither until 1.1 s after its end."""
    labels = frame_labels([(1.0, 1.5)], 401)
    expected = [0] * 100 + [IGNORED] * 60 + [1] * 35 + [IGNORED] * 65 + [0] * 141
    assert labels.tolist() == expected
    assert frame_labels([], 5).tolist() == [0] * 5
    two = frame_labels([(1.0, 1.5), (1.6, 2.0)], 401)
    assert two[160:195].eq(1).all()
    assert two[210:245].eq(1).all()


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
    assert not any(_holds(phonemes, sound) for phonemes in told[:-2])
    assert told[-2:] == [sound, sound]
    assert sum(map(len, talk.phrases)) >= 0.3 * 60 * 16_000
    assert all(p.dtype == torch.int16 and p.abs().max() > 1_000 for p in talk.phrases + talk.keywords)
    again = synthetic_talk(keyword, 0.3, keywords=2, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(talk.phrases, again.phrases, strict=True))


def test_a_phrase_holds_the_keyword_across_words_and_whatever_the_stress():
    sound = ["h", "'a", "p", "i"]
    assert _holds(["@", "n", "h", "a", "p", "i", "t"], sound)
    assert _holds(["h", "'a", "p", "i:"], sound)  # a homophone in some accents
    assert not _holds(["h", "a", "p"], sound)
    assert _holds(["d", "A:", "g"], ["d", "'0", "g"])  # a neural voice has one vowel for both
    assert not _holds(["h", "a", "t", "p", "i"], sound)


def test_another_keyword_or_sound_makes_other_scenes(tone_corpus):
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "high")
    noises = [torch.zeros(48_000, dtype=torch.int16)]

    def key(keyword: str, noises: list[torch.Tensor]) -> str:
        sounds = {subset: sounds_of(clips, keyword, split[subset], noises) for subset in ("train", "validation")}
        return stream_data(clips, keyword, split, sounds, 2, 2).key

    assert key("high", noises) == key("high", noises)
    assert len({key("high", noises), key("low", noises), key("high", [noises[0] + 1])}) == 3


def test_a_stream_is_learnt_and_a_stopped_run_goes_on(tone_corpus, tmp_path, monkeypatch):
    """High from low tones: a small model learns it in a moment, its student too; a run stopped half-way ends with the same weights."""
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "high")
    noises = [torch.zeros(48_000, dtype=torch.int16)]
    sounds = {subset: sounds_of(clips, "high", split[subset], noises) for subset in ("train", "validation")}
    config = SceneConfig(seconds=2.0, noise_share=0.0, altered_share=0.0, part_share=0.0, splice_share=0.0)
    data = stream_data(clips, "high", split, sounds, 256, 64, config, cache=tmp_path)
    assert data.labels.shape == (320, 201)
    assert data.split.fingerprint == split.fingerprint
    shape = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), norm=True, relu=True, hidden=8, layers=1)
    recipe = TrainConfig(epochs=8, batch=32, clean_share=0.0, learning_rate=2e-2, average=0.9)
    run = train_stream(data, shape, recipe, runs=tmp_path / "runs")
    with pytest.raises(ValueError, match="clean_share"):
        train_stream(data, shape, TrainConfig(epochs=1))
    assert run.history[-1]["validation_au_fa_fr"] < 0.02
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]

    real, epochs = Trainer.run_epoch, []

    def stop_in_the_fourth(self):
        if len(epochs) == 3:
            raise KeyboardInterrupt
        epochs.append(1)
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", stop_in_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            train_stream(data, shape, recipe, runs=tmp_path / "killed")
    resumed = train_stream(data, shape, recipe, runs=tmp_path / "killed")
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    lessons, untrained = teach_stream([run.model], data), CRNN(shape).eval()
    both = teach_stream([run.model, untrained], data)
    mean = (lessons.logits.float() + teach_stream([untrained], data).logits.float()) / 2
    assert torch.allclose(both.logits.float(), mean, atol=0.01)
    assert both.key != lessons.key
    for none in ([], [untrained, CRNN(replace(shape, pool=(2, 4)))]):
        with pytest.raises(ValueError, match="same steps"):
            teach_stream(none, data)
    other = replace(shape, pool=(2, 4), hidden=6)
    student = train_stream(data, other, recipe, lessons=lessons, distill=DistillConfig(labels=0.0, logits=1.0))
    assert student.history[-1]["validation_au_fa_fr"] < 0.03
    assert lessons.logits.shape[:2] == (256, len(step_frames(StreamingCRNN(run.model), 201)))


def test_only_well_cut_keywords_are_altered():
    """Of three half a second and one of 1 s, whose bounds are likely wrong, the three; of what has no usual length, all."""
    words = [Word(torch.zeros(16_000, dtype=torch.int16), 0, end) for end in (8_000, 8_500, 7_500, 16_000)]
    assert Sounds(words, [], [], []).clear == words[:3]
    assert Sounds([words[0], replace(words[0], end=80)], [], [], []).clear == [words[0], replace(words[0], end=80)]
    assert Sounds([], [], [], []).clear == []
