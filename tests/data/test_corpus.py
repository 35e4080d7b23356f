import os
import shutil

import numpy as np
import pytest
import soundfile
import torch
from conftest import tone

from kws.data import audio
from kws.data.audio import AudioError, fit_to_length, read_audio, to_float, to_int16
from kws.data.corpus import CorpusError, find_sound_files, folder_corpus, load_clips, load_noises, recorded_noises
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
    assert all(error.startswith("left out: ") for error in errors)
    for name in ("empty", "text", "cut", "none", "nan", "gone"):
        assert any(f"{name}_nohash_0" in error for error in errors)
    assert len(corpus.clips) == len(waveforms) == 120
    for _ in range(2):  # from the cache too
        assert len(decode(folder_corpus(folder), tmp_path / "cache").corpus.clips) == 120
        assert capsys.readouterr().out.count("left out: ") == 6


def test_hidden_files_and_folders_are_no_clips(tone_folder, tmp_path):
    """As macOS leaves them: ._x.wav beside x.wav, and folders such as .Trashes; capital suffixes are sounds."""
    folder = tmp_path / "mac"
    shutil.copytree(tone_folder, folder)
    names = [clip.name for clip in folder_corpus(folder).clips]
    for hidden in ("low/._a.wav", ".Trashes/a.wav", "__MACOSX/._a.wav", "_background_noise_/._hiss.wav"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"\0\5\x16\7")
    (folder / "low" / "folder.wav").mkdir()
    soundfile.write(folder / "low" / "z_nohash_0.WAV", tone(300), 16_000)
    corpus = folder_corpus(folder)
    assert sorted([*names, "low/z_nohash_0"]) == [clip.name for clip in corpus.clips]
    assert [path.name for path in corpus.noise_paths] == ["hiss.wav"]
    assert [path.name for path in find_sound_files(folder, suffixes={".wav"}) if path.suffix == ".WAV"] == [
        "z_nohash_0.WAV"
    ]


def test_links_to_other_files_are_read_anew(tmp_path):
    """Same size, same time: only the file that the link leads to differs."""
    (tmp_path / "corpus" / "word").mkdir(parents=True)
    link = tmp_path / "corpus" / "word" / "a_nohash_0.wav"
    for name, frequency in (("low", 300), ("high", 2000)):
        soundfile.write(tmp_path / f"{name}.wav", tone(frequency), 16_000)
        os.utime(tmp_path / f"{name}.wav", ns=(10**18, 10**18))
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / f"{name}.wav")
        decoded = decode(folder_corpus(tmp_path / "corpus"), tmp_path / "cache").waveforms[0]
        assert torch.equal(decoded, to_int16(read_audio(tmp_path / f"{name}.wav")))


def test_cropped_clips_are_counted(tmp_path, capsys):
    (tmp_path / "word").mkdir()
    for name, samples in (("short", 12_000), ("second", 16_000), ("long", 24_000), ("longest", 40_000)):
        soundfile.write(tmp_path / "word" / f"{name}_nohash_0.wav", tone(440, samples), 16_000)
    for _ in range(2):  # from the cache too
        decode(folder_corpus(tmp_path), tmp_path / "cache")
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cropped")]
        assert "2 clips" in line
        assert "longest_nohash_0.wav, has 2.50 s" in line


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
    assert [path.name for path in recorded_noises(tone_corpus)] == ["hiss.wav"]
    (tmp_path / "word").mkdir()
    soundfile.write(tmp_path / "word" / "a_nohash_0.wav", tone(440), 16_000)
    (white,) = load_noises(folder_corpus(tmp_path))
    assert to_float(white).std() == pytest.approx(0.1, rel=0.02)
    assert recorded_noises(folder_corpus(tmp_path)) == {}


def test_a_bad_noise_is_named_and_the_others_used(tone_folder, tmp_path, capsys):
    folder = tmp_path / "noisy"
    shutil.copytree(tone_folder, folder)
    noises = folder / "_background_noise_"
    (noises / "bad.wav").write_text("no")
    soundfile.write(noises / "short.wav", tone(50, 7_000), 16_000)
    corpus = folder_corpus(folder)
    assert [len(noise) for noise in load_noises(corpus)] == [48_000, 21_000]
    assert "left out: " in (told := capsys.readouterr().out)
    assert "bad.wav" in told
    assert [path.stem for path in recorded_noises(corpus)] == ["hiss", "short"]
    for path in corpus.noise_paths:
        path.write_text("no")
    with pytest.raises(CorpusError, match=r"none of the 3 sound files can be read; the first: .*bad\.wav"):
        load_noises(corpus)


def test_any_exception_of_a_file_is_its_reason(tone_corpus, monkeypatch):
    """Whatever is raised while it is read: the file is named, the others are used."""
    real = audio.wav_samples

    def some_fail(file):
        if "00000004_nohash_1" in file.name:
            raise MemoryError("array is too big")
        return real(file)

    monkeypatch.setattr(audio, "wav_samples", some_fail)
    loaded = load_clips(tone_corpus, progress=False)
    assert len(loaded.corpus.clips) == 117
    assert len(loaded.messages) == 3
    assert all("00000004_nohash_1" in message and "array is too big" in message for message in loaded.messages)
