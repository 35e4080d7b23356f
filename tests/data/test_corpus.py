import shutil

import numpy as np
import pytest
import soundfile
import torch
from conftest import tone

from kws.data.audio import AudioError, fit_to_length, read_audio, to_float, to_int16
from kws.data.corpus import CorpusError, folder_corpus, load_clips, load_noises
from kws.views import decode


def test_folder_corpus(tone_corpus):
    assert tone_corpus.words == {"low": 40, "high": 40, "rise": 40}
    assert len(tone_corpus.speakers) == 20
    assert [c.name for c in tone_corpus.clips] == sorted(c.name for c in tone_corpus.clips)
    assert {c.path.suffix for c in tone_corpus.clips} == {".wav", ".flac"}
    assert [p.name for p in tone_corpus.noise_paths] == ["hiss.wav"]
    assert tone_corpus.labels("low").sum() == 40


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(CorpusError, match="nowhere: there is no such folder"):
        folder_corpus(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="no clip in it"):
        folder_corpus(tmp_path)


def test_missing_keyword_names_the_words(tone_corpus):
    with pytest.raises(CorpusError, match="'happy'; its words are: high, low, rise"):
        tone_corpus.labels("happy")


def test_a_clip_as_wav_and_flac_is_refused(tone_folder, tmp_path):
    folder = tmp_path / "twice"
    shutil.copytree(tone_folder, folder)
    flac = next(folder.glob("low/*.flac"))
    soundfile.write(flac.with_suffix(".wav"), tone(300), 16_000)
    with pytest.raises(CorpusError, match="same clip twice"):
        folder_corpus(folder)


def test_bad_files_are_named_and_the_others_used(tone_folder, tmp_path, capsys):
    folder = tmp_path / "bad"
    shutil.copytree(tone_folder, folder)
    whole = next(folder.glob("low/*.flac")).read_bytes()
    (folder / "low" / "empty_nohash_0.wav").write_bytes(b"")
    (folder / "low" / "text_nohash_0.wav").write_text("this is not audio at all")
    (folder / "low" / "cut_nohash_0.flac").write_bytes(whole[:60])
    soundfile.write(folder / "low" / "none_nohash_0.wav", np.zeros(0), 16_000)
    soundfile.write(folder / "low" / "nan_nohash_0.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    (folder / "low" / "gone_nohash_0.wav").symlink_to("nowhere.wav")
    corpus, waveforms, errors = load_clips(folder_corpus(folder))
    assert len(errors) == 6
    for name in ("empty", "text", "cut", "none", "nan", "gone"):
        assert any(f"{name}_nohash_0" in error for error in errors)
    assert len(corpus.clips) == len(waveforms) == 120
    for _ in range(2):  # from the cache too
        assert len(decode(folder_corpus(folder), tmp_path / "cache").corpus.clips) == 120
        assert capsys.readouterr().out.count("left out: ") == 6


def test_no_usable_file(tmp_path):
    (tmp_path / "word").mkdir()
    (tmp_path / "word" / "a_nohash_0.wav").write_text("no")
    with pytest.raises(CorpusError, match="none of its 1 clips can be read"):
        load_clips(folder_corpus(tmp_path))


def test_rate_and_channels(tmp_path):
    soundfile.write(tmp_path / "mono.wav", tone(440, noise=0), 16_000, subtype="FLOAT")
    time = np.arange(44_100) / 44_100
    left = 0.6 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, np.zeros_like(left)], 1), 44_100, subtype="FLOAT")
    mono, stereo = read_audio(tmp_path / "mono.wav"), read_audio(tmp_path / "stereo.wav")
    assert mono.shape == stereo.shape == (16_000,)
    assert (mono - stereo)[100:-100].abs().max() < 1e-3


def test_missing_file(tmp_path):
    with pytest.raises(AudioError, match="gone.wav"):
        read_audio(tmp_path / "gone.wav")


@pytest.mark.parametrize(
    ("samples", "expected"), [(3, [0, 1, 2, 3, 0]), (2, [0, 1, 2, 0, 0]), (7, [2, 3, 4, 5, 6]), (8, [2, 3, 4, 5, 6])]
)
def test_fit_to_length(samples, expected):
    assert fit_to_length(torch.arange(1.0, samples + 1)[None], 5).tolist() == [expected]


def test_int16_round_trip():
    every = torch.arange(-32768, 32768).to(torch.int16)
    assert (to_int16(to_float(every)) == every).all()


def test_pcm_of_a_flac_survives_decoding(tmp_path):
    pcm = np.random.default_rng(0).integers(-32768, 32768, 16_000).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", pcm, 16_000)
    assert (to_int16(read_audio(tmp_path / "a.flac")).numpy() == pcm).all()


def test_noises(tone_corpus, tmp_path):
    assert [len(noise) for noise in load_noises(tone_corpus)] == [48_000]
    (tmp_path / "word").mkdir()
    soundfile.write(tmp_path / "word" / "a_nohash_0.wav", tone(440), 16_000)
    (white,) = load_noises(folder_corpus(tmp_path))
    assert to_float(white).std() == pytest.approx(0.1, rel=0.02)
