"""Scenes tell where their keywords are, are the same from the same seed, and their labels are those of the times told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import high_and_low

from kws.distill import DistillConfig, alignment
from kws.model import CRNN, CRNNConfig
from kws.research.speech_embedding import SpeechEmbedding, embedded_steps
from kws.research.stream_ladder import STREAMING_BASE
from kws.research.stream_teacher import StreamTeacherConfig
from kws.research.stream_training import StreamTrainer, step_frames, stream_data, teach_stream, train_stream
from kws.scenes.batches import IGNORED, OVER, batches_of, frame_labels
from kws.scenes.scene import SceneConfig, Sounds, Word, halves, long_stream, make_scene, sounds_of, word_bounds
from kws.split import speaker_split
from kws.streaming.network import StreamingCRNN
from kws.train import TrainConfig, Trainer
from kws.views import decode
from kws.voices import talk as talk_module
from kws.voices.synthetic import Mouth
from kws.voices.talk import Talk, _holds, synthetic_talk

QUIET = SceneConfig(
    noise_share=0.0,
    room_share=0.0,
    speed=(1.0, 1.0),
    piece_gain_db=(0.0, 0.0),
    no_speech=0.0,
    narrow_share=0.0,
    microphone_share=0.0,
)


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


def test_a_keyword_that_seems_far_too_short_ends_in_the_stream_where_most_end():
    sounds = tones()
    word = sounds.keywords[0]
    usual = word.end - word.start
    lengths = [usual] * 5 + [round(0.5 * usual), round(0.7 * usual)]
    words = [Word(word.waveform, word.start, word.start + length) for length in lengths]
    late = Word(word.waveform, 14_000, 15_000)  # its clip is cut
    stream = long_stream(replace(sounds, keywords=[*words, late]), 20.0)
    found = sorted(round(16_000 * (end - start)) for start, end in stream.keywords)
    assert found == pytest.approx(sorted([usual] * 6 + [round(0.7 * usual), 2000]), abs=1)


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
    expected = [0] * 100 + [IGNORED] * 60 + [1] * 35 + [IGNORED] * 10 + [OVER] * 55 + [0] * 141
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
    with pytest.raises(ValueError, match="one or more"):
        teach_stream([], data)
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


def noise_alone(sounds: Sounds, **shares) -> np.ndarray:
    """Power spectrum of a scene without speech, a Hertz a bin."""
    plain = SceneConfig(seconds=1.0, no_speech=1.0, room_share=0.0, made_up_share=0.0, babble_share=0.0)
    plain = replace(plain, shaped_share=0.0, swelling_share=0.0, microphone_share=0.0, noise_speed=(1.0, 1.0))
    waveform = make_scene(sounds, replace(plain, **shares), np.random.default_rng(0)).waveform
    return np.abs(np.fft.rfft(waveform.double().numpy())) ** 2


def test_noises_are_recorded_ones_at_another_speed_white_or_of_many_voices():
    time = np.arange(48_000) / 16_000
    hum, said = (torch.from_numpy((9000 * np.sin(2 * np.pi * f * time)).astype(np.int16)) for f in (1000, 600))
    sounds = replace(tones(), noises=[hum], talk=[said])
    assert noise_alone(sounds).argmax() == 1000
    assert noise_alone(sounds, noise_speed=(1.5, 1.5)).argmax() == 1500
    assert abs(noise_alone(sounds, babble_share=1.0).argmax() - 600) <= 1
    white = noise_alone(sounds, made_up_share=1.0).reshape(-1, 1)[1:].reshape(8, -1).mean(1)
    assert white.max() / white.min() < 1.2


def test_shapes_keep_to_their_limit():
    flat, shaped = (noise_alone(tones(), made_up_share=1.0, shaped_share=share) for share in (0.0, 1.0))
    change = 10 * np.log10(shaped[65:].reshape(-1, 64).mean(1) / flat[65:].reshape(-1, 64).mean(1))
    assert 3 < np.ptp(change) < 25


def test_narrow_pieces_lack_what_is_above():
    said = (3000 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)
    sounds = replace(tones(), keywords=[], words=[Word(said, 0, 16_000)])
    config = replace(QUIET, no_keyword=1.0, altered_share=0.0, part_share=0.0, splice_share=0.0)
    power = []
    for share in (0.0, 1.0):
        wave = make_scene(
            sounds, replace(config, narrow_share=share, narrow_hz=(4000.0, 4000.0)), np.random.default_rng(1)
        ).waveform
        spectrum = np.abs(np.fft.rfft(wave.double().numpy())) ** 2
        power.append(spectrum[len(spectrum) * 9 // 16 :].sum() / spectrum.sum())
    assert power[0] > 0.4
    assert power[1] < 1e-4


def test_several_processes_make_what_one_makes(tone_corpus, monkeypatch):
    clips = decode(tone_corpus)
    noise = [(1000 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)]
    sounds = sounds_of(clips, "high", speaker_split(clips.corpus, "high").train, noise)
    made = []
    for processors in (1, 3):
        monkeypatch.setattr("os.cpu_count", lambda n=processors: n)
        made.append(list(batches_of(sounds, 150, SceneConfig(seconds=1.0), (3, 1))))
    assert [len(log_mel) for log_mel, _, _ in made[0]] == [64, 64, 22]
    for one, other in zip(*made, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(made[0][0][0], made[0][1][0])


def test_a_teacher_that_hears_through_an_embedding_teaches_a_student(tone_corpus):
    clips, split, sounds = high_and_low(tone_corpus)
    torch.manual_seed(0)
    config = SceneConfig(seconds=2.0)
    data = stream_data(clips, "high", split, sounds, 96, 32, config, embedding=SpeechEmbedding().eval())
    shape = StreamTeacherConfig(width=8, layers=1)
    run = train_stream(data, shape, TrainConfig(epochs=2, batch=32, clean_share=0.0))
    lessons = teach_stream([run.model], data)
    ends = embedded_steps(data.labels.shape[1])
    assert lessons.logits.shape == (96, len(ends), 2)
    assert torch.equal(lessons.ends, ends.float())
    assert torch.equal(data.heard_by(run.model).labels, data.labels[:, ends])
    torch.testing.assert_close(
        lessons.logits, run.model.whole(data.embedded[data.split.train].float()).detach().half(), rtol=0, atol=2e-3
    )
    student = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1)
    taught = train_stream(data, student, TrainConfig(epochs=1, clean_share=0.0), lessons=lessons)
    assert taught.validation_loss > 0
    plain = stream_data(clips, "high", split, sounds, 96, 32, config)
    assert torch.equal(plain.views, data.views)
    with pytest.raises(ValueError, match="learns from labels"):
        train_stream(data, shape, TrainConfig(epochs=1, clean_share=0.0), lessons=lessons)
    with pytest.raises(ValueError, match="without an embedding"):
        train_stream(plain, shape, TrainConfig(epochs=1, clean_share=0.0))
    # Of two kinds, each counts half, at the times of those that hear log-mels.
    alone, both = teach_stream([taught.model], data), teach_stream([run.model, taught.model, run.model], data)
    assert torch.equal(both.ends, alone.ends)
    moved = alignment(alone.ends, lessons.ends) @ run.model.whole(data.embedded[data.split.train].float()).detach()
    torch.testing.assert_close(both.logits.float(), (alone.logits.float() + moved) / 2, rtol=0, atol=4e-3)
    coarser = CRNN(CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 4), hidden=8, layers=1)).eval()
    with pytest.raises(ValueError, match="do not have the same steps"):
        teach_stream([taught.model, coarser], data)


def test_a_layer_is_pulled_towards_the_embedding(tone_corpus, tmp_path, monkeypatch):
    clips, split, sounds = high_and_low(tone_corpus)
    torch.manual_seed(0)
    config = SceneConfig(seconds=2.0)
    data = stream_data(clips, "high", split, sounds, 96, 32, config, embedding=SpeechEmbedding().eval())
    heard = torch.cat([data.log_mel, data.views[0].float()])[:, :, embedded_steps(data.labels.shape[1])]
    data = replace(data, embedded=heard.half())  # what can be learnt, other than what a new embedding says
    shape = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1)
    pull = DistillConfig(labels=1.0, layers=0.5, pairs=(("recurrent.0", "embedding"),))
    recipe = TrainConfig(epochs=8, batch=32, clean_share=0.0)
    run = train_stream(data, shape, recipe, distill=pull)
    errors = [row["error of recurrent.0, embedding"] for row in run.history]
    assert errors[-1] < 0.8 * errors[0]
    # Its projection is part of the state that a stopped training goes on from.
    with monkeypatch.context() as patch:
        after = StreamTrainer.run_epoch

        def stop(self):
            if self.epoch == 2:
                raise KeyboardInterrupt
            return after(self)

        patch.setattr(StreamTrainer, "run_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            train_stream(data, shape, recipe, distill=pull, runs=tmp_path)
    resumed = train_stream(data, shape, recipe, distill=pull, runs=tmp_path)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])

    # By hand: labels, and half the error of the projected layer from features of mean 0 and variance 1 at the student's times.
    trainer = StreamTrainer(data, shape, recipe, 0, torch.device("cpu"), distill=pull)
    alone = StreamTrainer(data, shape, recipe, 0, torch.device("cpu"))
    train = torch.from_numpy(data.split.train)
    log_mel, rows = data.views[0].float(), torch.arange(96)
    features = data.embedded[train].float()
    some = features[::50]
    features = (features - some.mean((0, 2))[:, None]) / some.std((0, 2)).clamp_min(1e-3)[:, None]
    ends = step_frames(trainer.network, data.labels.shape[1])
    wanted = features @ alignment(ends, embedded_steps(data.labels.shape[1]).float()).T
    x = trainer.network.positions(
        torch.cat([trainer.network.silence[:, :, 1:].expand(96, -1, -1), (log_mel + 7) / 5], 2)
    )
    x, _ = trainer.model.recurrent[0](x[:, -trainer.network.first_step :])
    error = (trainer.distillation.projections[0](x) - wanted.transpose(1, 2)).square().mean()
    loss = trainer._loss(log_mel, trainer.step_labels, torch.zeros(96), rows)
    torch.testing.assert_close(loss, alone._loss(log_mel, trainer.step_labels, torch.zeros(96), rows) + 0.5 * error)

    plain = stream_data(clips, "high", split, sounds, 96, 32, config)
    same = [train_stream(plain, shape, recipe, distill=learns).model for learns in (pull, DistillConfig())]
    for one, other in zip(same[0].parameters(), same[1].parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match="recurrent layer and 'embedding'"):
        train_stream(data, shape, recipe, distill=DistillConfig(layers=1.0))


def test_what_is_trained_in_half_precision_is_nearly_the_same(tone_corpus):
    clips, split, sounds = high_and_low(tone_corpus)
    data = stream_data(clips, "high", split, sounds, 32, 8, SceneConfig(seconds=2.0))
    losses, slopes = [], []
    for halved in (False, True):
        trainer = StreamTrainer(data, STREAMING_BASE, TrainConfig(clean_share=0.0), 0, torch.device("cpu"))
        trainer.halved = halved
        losses.append(trainer._loss(data.views[0].float(), trainer.step_labels, torch.zeros(32), torch.arange(32)))
        losses[-1].backward()
        slopes.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters()]))
    assert losses[0] != losses[1]
    torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0)
    assert torch.cosine_similarity(*slopes, dim=0) > 0.99


def test_a_student_is_taught_to_end_where_teachers_go_on(tone_corpus):
    clips, split, sounds = high_and_low(tone_corpus)
    data = stream_data(clips, "high", split, sounds, 32, 8, SceneConfig(seconds=3.0, no_keyword=0.0, no_speech=0.0))
    shape = CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1)
    torch.manual_seed(0)
    lessons = teach_stream([CRNN(shape).eval()], data)
    learn = DistillConfig(labels=0.0, logits=1.0, temperature=2.0)
    trainer = StreamTrainer(data, shape, TrainConfig(clean_share=0.0), 0, torch.device("cpu"), lessons, learn)
    rows = torch.arange(32)
    labels = data.labels[torch.from_numpy(data.split.train)][:, lessons.ends.long()]
    assert (labels == OVER).any()
    log_mel = data.views[0].float()
    said = torch.softmax(lessons.logits.float() / 2, 2)
    said[labels == OVER] = torch.tensor([1.0, 0.0])
    mine = torch.log_softmax(trainer.network.whole(log_mel) / 2, 2)
    kl = torch.where(said > 0, said * (said.clamp_min(1e-30).log() - mine), torch.zeros(())).sum(2).mean()
    loss = trainer._loss(log_mel, labels, torch.zeros(32), rows)
    torch.testing.assert_close(loss, 4 * kl)
