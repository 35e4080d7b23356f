"""The streaming networks from scenes to saved weights, with and without an embedding, on a corpus of tones."""

from dataclasses import replace

import pytest
import torch
from conftest import high_and_low

from kws import load_model
from kws.research import stream_ladder
from kws.research.ladder import seed_path
from kws.research.settings import Settings
from kws.research.speech_embedding import SpeechEmbedding
from kws.research.stream_training import teach_stream


@pytest.fixture
def material(tone_corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return *high_and_low(tone_corpus), Settings(keyword="high", seeds=1, epochs=8, scenes=64)


@pytest.mark.parametrize("embedding", ["", "of some kind"])
def test_from_scenes_to_weights(material, embedding, monkeypatch):
    clips, split, sounds, settings = material
    settings = replace(settings, embedding=embedding)
    torch.manual_seed(0)
    heard_through = SpeechEmbedding().eval() if embedding else None
    monkeypatch.setattr(stream_ladder, "open_embedding", lambda settings: heard_through)
    first = stream_ladder.scenes(clips, "high", split, sounds, settings)
    scenes, scouts = stream_ladder.mine(first, sounds, settings)
    kinds = ["streaming_teacher"] + (["embedding_teacher"] if embedding else [])
    before = ["scout"] + (["embedding scout"] if embedding else [])
    assert list(scouts) == [f"{name}, round 1" for name in before] + [f"{name}, round 2" for name in kinds]
    # Each scout keeps its own, some of them the same: 48 of 192 in the first round, 24 of 96 in the second.
    mined = len(scenes.split.train) - 64
    assert mined == 72 if not embedding else 36 <= mined <= 72

    teachers = [run.model for name in kinds for run in stream_ladder.fit(name, scenes, settings, "r")]
    fewer, scenes = scenes, stream_ladder.more(scenes, sounds, settings)
    assert len(scenes.split.train) == len(fewer.split.train) + 64
    new = scenes.split.train[-64:]
    assert torch.equal(scenes.views[0, :-64], fewer.views[0])
    assert (scenes.labels[new] == 1).any(1).sum() > 64 / 3  # most hold the keyword
    at_first = {row.numpy().tobytes() for row in first.views[0]}
    assert not any(row.numpy().tobytes() in at_first for row in scenes.views[0, -64:])
    lessons = teach_stream(teachers, scenes)
    with pytest.raises(ValueError, match="learns from a teacher"):
        stream_ladder.fit("streaming_small", scenes, settings, "r")
    with pytest.raises(ValueError, match="learns from labels"):
        stream_ladder.fit("streaming_teacher", scenes, settings, "r", lessons)
    for name in ("streaming_base", "streaming_small"):
        (run,) = stream_ladder.fit(name, scenes, settings, "r", lessons)
        saved = load_model(seed_path("r", name, split.kind, 0))
        with torch.no_grad():
            torch.testing.assert_close(saved(scenes.log_mel), run.model(scenes.log_mel), rtol=1e-4, atol=1e-4)
        pulled = [key for key in run.history[0] if key.startswith("error of ")]
        assert pulled == (["error of recurrent.0, embedding"] if embedding and name == "streaming_base" else [])
