import numpy as np
import pytest
import soundfile

from kws.report.streams import points_table, talk_scene
from kws.streaming.scoring import Heard, working_points


def test_a_table_of_working_points_says_what_was_missed():
    heard = Heard(np.array([0.1, 0.9, 0.2]), [(0.0, 0.2)], 36.0)
    found = working_points([heard], 1_600, 3_200, thresholds=[0.5, 1.0])
    lines = points_table(dict(zip(("low", "high"), found, strict=True))).splitlines()
    assert len(lines) == 4
    assert "0 of 1" in lines[2]
    assert "1 of 1" in lines[3]


def test_talk_from_a_folder_or_made(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8_000, 0.1), 8_000)
    soundfile.write(tmp_path / "b.flac", np.full(16_000, 0.2), 16_000)
    scene = talk_scene(str(tmp_path), "happy", 1.0, 0)
    assert len(scene.waveform) == 2 * (16_000 + 8_000)
    assert scene.keywords == []
    assert len(talk_scene("", "happy", 0.1, 0).waveform) >= 0.1 * 60 * 16_000
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no sound file"):
        talk_scene(str(tmp_path / "empty"), "happy", 1.0, 0)
