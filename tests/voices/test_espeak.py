"""espeak-ng through ctypes: it starts wherever it is installed."""

import tempfile
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from kws.voices import Espeak


def test_unknown_voice():
    with pytest.raises(ValueError, match="no voice 'xx\\+f1'"):
        Espeak().say(["S"], "xx+f1", 160, 50, 50)


def test_it_works_below_a_path_that_is_too_long_for_it(tmp_path, monkeypatch):
    usual = Espeak().say(["h", "'a"], "en-gb-scotland+f3", 160, 50, 50)
    deep = tmp_path / ("a" * 200) / "espeak-ng-data"
    deep.parent.mkdir()
    deep.symlink_to(espeakng_loader.get_data_path())
    short = tmp_path.parents[1] / "short"
    short.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep))
    espeak = Espeak()
    assert np.array_equal(espeak.say(["h", "'a"], "en-gb-scotland+f3", 160, 50, 50), usual)
    assert len(list(short.iterdir())) == 1
    del espeak
    assert not list(short.iterdir())


def test_where_no_path_is_short_enough_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr("kws.voices.espeak._LONGEST_PATH", 4)
    with pytest.raises(
        RuntimeError, match="a path of more than 4 bytes, .*install it below a shorter one, or set TMPDIR"
    ):
        Espeak()


def test_data_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(Path(tmp_path) / "gone"))
    with pytest.raises(RuntimeError, match="gone: reinstall the package espeakng-loader"):
        Espeak()
