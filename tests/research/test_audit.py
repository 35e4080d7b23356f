"""The audit names the keyword clips that no network hears, with what a listener of another kind makes of them."""

import numpy as np
import pytest
import torch
from conftest import save_ear, tone, untrained_study

from kws.checkpoint import load_model
from kws.research import audit as module
from kws.research.audit import audit, nearest_words, reason
from kws.research.ruler import AUDITED, ruler
from kws.research.study import KINDS


@pytest.fixture(scope="module")
def study(tone_folder, tmp_path_factory):
    names = {"base": KINDS, "rnn": ("published",)}
    with untrained_study(tmp_path_factory.mktemp("audit"), tone_folder, names) as found:
        torch.manual_seed(5)
        save_ear(module.EAR)
        yield found


def test_a_clip_that_all_runs_miss_is_named_and_one_that_any_hears_is_not(study, monkeypatch):
    missed, heard = [int(i) for i in study.splits["published"].test if study.corpus.clips[i].word == "low"][:2]

    def judged(name, kind, seed):
        clips = study.splits[kind].test
        y = study.corpus.labels("low").numpy()[clips]
        p = np.where(y == 1, 0.9, 0.1)
        p[clips == missed] = 0.3 + 0.1 * seed
        p[clips == heard] = 0.6 if (name, seed) == ("rnn", 1) else 0.1
        return p, y

    monkeypatch.setattr(study, "judged", judged)
    (row,) = audit(study, ["base", "rnn"])
    kinds = [kind for kind, split in study.splits.items() if missed in split.test]
    assert (row.clip, row.splits) == (study.corpus.clips[missed].name, ", ".join(kinds))
    assert row.asked == 4 + 2 * (
        len(kinds) - 1
    )  # two seeds of both networks on the published split, of the base on the other
    assert row.highest == pytest.approx(0.4)
    assert row.nearest in ("low", "high", "rise")
    assert audit(study, ["base"])[0].clip in {study.corpus.clips[i].name for i in (missed, heard)}


def test_nearest_words_are_those_of_the_tones(study):
    clips = [int(i) for i in study.splits["speaker-disjoint"].test]
    words, places = nearest_words(study, clips, load_model(module.EAR))
    said = [study.corpus.clips[i].word for i in clips]
    assert np.mean([word == own for word, own in zip(words, said, strict=True)]) > 0.8
    assert all((place == 1) == (word == "low") for word, place in zip(words, places, strict=True))


@pytest.mark.parametrize(
    ("waveform", "level_db", "place", "told"),
    [
        (torch.zeros(16_000), -120.0, 1, "nearly silent"),
        (0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0)), -20.0, 2, "no word stands out"),
        (torch.cat([torch.zeros(12_000), torch.from_numpy(tone(300, 4_000)).float()]), -15.0, 2, "sounds like 'high'"),
        (torch.cat([torch.zeros(12_000), torch.from_numpy(tone(300, 4_000)).float()]), -15.0, 1, "to blame"),
    ],
)
def test_reasons(waveform, level_db, place, told):
    assert told in reason(waveform, level_db, "high" if place > 1 else "low", place, "low")


def test_the_ruler_compares_without_audited_clips(study):
    test = [study.corpus.clips[i] for i in study.splits["published"].test]
    out = next(clip.name for clip in test if clip.word == "low")
    rows = [row for row in ruler(study, "rnn", snrs=(), noises=(), left_out=[out]) if row.condition == AUDITED]
    assert [(row.clips, row.keyword_clips) for row in rows] == [
        (len(test) - 1, sum(clip.word == "low" for clip in test) - 1)
    ]
    assert all(0 <= share <= 1 for row in rows for share in (row.missed, row.missed_by_other))
