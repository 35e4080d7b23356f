"""Labels are those of the times told, and batches the same whatever the number of processes."""

import torch

from kws.scenes import IGNORED, OVER, SceneConfig, batches_of, frame_labels, sounds_of
from kws.split import speaker_split
from kws.views import decode


def test_frame_labels():
    """Of a keyword from 1.0 to 1.5 s: ignored until 1.6 s, keyword until 1.95 s, neither until 2.6 s."""
    labels = frame_labels([(1.0, 1.5)], 401)
    expected = [0] * 100 + [IGNORED] * 60 + [1] * 35 + [IGNORED] * 10 + [OVER] * 55 + [0] * 141
    assert labels.tolist() == expected
    assert frame_labels([], 5).tolist() == [0] * 5
    two = frame_labels([(1.0, 1.5), (1.6, 2.0)], 401)
    assert two[160:195].eq(1).all()
    assert two[210:245].eq(1).all()


def test_several_processes_make_what_one_makes(tone_corpus, monkeypatch):
    clips = decode(tone_corpus)
    noise = [(1000 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)]
    sounds = sounds_of(clips, "high", speaker_split(clips.corpus, "high").train, noise)
    made = []
    for processors in (1, 3):
        monkeypatch.setenv("KWS_JOBS", str(processors))
        made.append(list(batches_of(sounds, 150, SceneConfig(seconds=1.0), (3, 1))))
    assert [len(log_mel) for log_mel, _, _ in made[0]] == [64, 64, 22]
    for one, other in zip(*made, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(made[0][0][0], made[0][1][0])
