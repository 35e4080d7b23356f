import shutil

import numpy as np
import pytest
import soundfile
import torch
from conftest import tone

from kws.checkpoint import Provenance, save_model
from kws.data.corpus import folder_corpus
from kws.evaluate import judge, judge_checkpoint, keyword_probability
from kws.features import LogMel
from kws.model import CRNN
from kws.split import SplitMismatch, published_split, speaker_split
from kws.views import decode, enough_views, training_data


@pytest.fixture(scope="module")
def clips(tone_corpus):
    return decode(tone_corpus)


def test_decoded_clips(clips):
    assert clips.waveforms.shape == (120, 16_000)
    assert clips.log_mel.shape == (120, 40, 101)
    i = next(i for i, c in enumerate(clips.corpus.clips) if c.path.suffix == ".flac")
    samples, _ = soundfile.read(clips.corpus.clips[i].path, dtype="int16")
    left = (16_000 - len(samples)) // 2
    assert (clips.waveforms[i].numpy()[left : left + len(samples)] == samples).all()


def test_no_clip_of_another_subset_reaches_the_views(clips):
    """Test clips replaced by noise give the very same views: not even the babble comes from them."""
    split = published_split(clips.corpus, "low")
    views = training_data(clips, "low", split, views=2).views
    assert views.shape == (2, len(split.train), 40, 101)
    other = clips.waveforms.clone()
    kept_out = np.concatenate([split.validation, split.test])
    other[kept_out] = torch.randint(-9999, 9999, other[kept_out].shape, dtype=torch.int16)
    changed = training_data(type(clips)(clips.corpus, other, clips.log_mel), "low", split, views=2).views
    assert torch.equal(views, changed)


def test_cached_clips_and_views(tone_folder, tmp_path, capsys):
    folder, cache = tmp_path / "tones", tmp_path / "cache"
    shutil.copytree(tone_folder, folder)

    def prepare():
        clips = decode(folder_corpus(folder, "tones"), cache)
        return clips, training_data(clips, "low", published_split(clips.corpus, "low"), views=2, cache=cache)

    first_clips, first = prepare()
    times = {p.name: p.stat().st_mtime_ns for p in cache.iterdir()}
    assert set(times) == {"tones-clips.pt", "tones-2-views-published.pt"}
    again_clips, again = prepare()
    assert {p.name: p.stat().st_mtime_ns for p in cache.iterdir()} == times
    assert torch.equal(first_clips.waveforms, again_clips.waveforms)
    assert torch.equal(first.views, again.views)
    capsys.readouterr()
    changed = first_clips.corpus.clips[5].path
    soundfile.write(changed, tone(1234, noise=0.3), 16_000)
    new_clips, new = prepare()
    assert "other clips or settings" in capsys.readouterr().out
    assert not torch.equal(new_clips.waveforms[5], first_clips.waveforms[5])
    assert not torch.equal(new.views, first.views)
    soundfile.write(folder / "_background_noise_" / "hiss.wav", tone(90, 48_000, noise=0.2), 16_000)
    assert not torch.equal(prepare()[1].views, new.views)


def test_keyword_probability_is_the_model_on_the_log_mel():
    torch.manual_seed(0)
    model = CRNN().eval()
    waveform = 0.1 * torch.randn(3, 16_000)
    expected = torch.softmax(model(LogMel()(waveform)), 1)[:, 1]
    torch.testing.assert_close(keyword_probability(model, waveform), expected)
    short, long = waveform[:, :9_000], torch.cat([waveform] * 2, 1)
    padded = torch.nn.functional.pad(short, (3_500, 3_500))
    torch.testing.assert_close(keyword_probability(model, short), keyword_probability(model, padded))
    torch.testing.assert_close(keyword_probability(model, long), keyword_probability(model, long[:, 8_000:24_000]))
    torch.testing.assert_close(keyword_probability(model, waveform.double()), expected)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (torch.zeros(16_000), "shape"),
        (torch.zeros(1, 16_000, dtype=torch.int16), "float"),
        (torch.full((1, 16_000), torch.nan), "NaN"),
        (torch.full((1, 16_000), torch.inf), "infinite"),
    ],
)
def test_bad_waveforms(waveform, message):
    with pytest.raises(ValueError, match=message):
        keyword_probability(CRNN().eval(), waveform)


def test_a_checkpoint_is_judged_on_its_own_split_only(clips, tmp_path):
    right = training_data(clips, "low", published_split(clips.corpus, "low"), views=1)
    wrong = training_data(clips, "low", speaker_split(clips.corpus, "low"), views=1)
    model = CRNN().eval()
    save_model(tmp_path / "m.pt", model, Provenance("low", "tones", right.split.fingerprint, "published", 0, 0, {}))
    p, y = judge_checkpoint(tmp_path / "m.pt", right)
    assert (p == judge(model, right)[0]).all()
    assert (y == right.labels[right.split.test].numpy()).all()
    with pytest.raises(SplitMismatch, match="would leak"):
        judge_checkpoint(tmp_path / "m.pt", wrong)
    with pytest.raises(ValueError, match="hears 'low', but these clips are labelled for 'high'"):
        judge_checkpoint(tmp_path / "m.pt", training_data(clips, "high", right.split, views=0))
    with pytest.raises(KeyError, match="no subset 'tests'"):
        judge(model, right, "tests")


def test_the_fewer_the_clips_the_more_views():
    assert [enough_views(clips) for clips in (1, 6581, 16_000, 46_604)] == [24, 24, 10, 4]
