"""What scenes are made of: each subset has words, noises, speech and talk of its own; talk is made in parts, and kept."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from conftest import tone, write_voice

from kws.data.corpus import load_noises
from kws.research import material
from kws.research.material import in_a_row, sounds_for, talk_parts, talk_scene, words_for
from kws.research.settings import EFFORTS, Effort, Settings
from kws.split import SUBSETS, speaker_split
from kws.views import decode


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """0.8 minutes of talk, said in parts of 0.21 minutes, with ten keywords a minute."""
    monkeypatch.setitem(EFFORTS, "tiny", Effort(8, 4, 0.8, 0.1, 1, 2, 0.0, (1,), 1))
    monkeypatch.setattr(material, "PART_MINUTES", 0.21)
    monkeypatch.setattr(material, "KEYWORDS_A_MINUTE", 10)
    monkeypatch.setattr(material, "NEURAL_SHARE", 0.5)
    monkeypatch.setattr(material, "SPEAKERS", 4)
    monkeypatch.setattr(material, "FEW_SPEAKERS", 2)


@pytest.fixture
def settings(tmp_path):
    return Settings(keyword="high", effort="tiny", cache=str(tmp_path / "cache"))


@pytest.fixture
def voices(tmp_path):
    """Two voices that say noise."""
    for name, speakers in (("noise", 1), ("other", 2)):
        (tmp_path / "voices").mkdir(exist_ok=True)
        write_voice(tmp_path / "voices" / f"{name}.onnx", speakers)
    return tmp_path / "voices"


def same(one, other) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_parts_make_up_the_talk(settings, voices):
    alone = talk_parts("train", "high", settings)
    with_voices = talk_parts("train", "high", replace(settings, voices=str(voices)))
    for parts in (alone, with_voices):
        assert sum(part.minutes for part in parts) == pytest.approx(0.8)
        assert sum(part.keywords for part in parts) == 8
        assert all(part.minutes <= 0.21 for part in parts)
        assert len({part.file for part in parts}) == len({part.seed for part in parts}) == len(parts) == 4
    assert not any(part.voice for part in alone)
    minutes = {
        voice: sum(p.minutes for p in with_voices if p.voice == voice) for voice in {p.voice for p in with_voices}
    }
    assert minutes == pytest.approx({None: 0.4, voices / "noise.onnx": 0.2, voices / "other.onnx": 0.2})


def test_a_typed_word_is_said_by_each_kind_of_voice_as_often_as_planned(settings, voices, monkeypatch):
    (voices / "joe").mkdir()
    write_voice(voices / "joe" / "one.onnx", 1)
    monkeypatch.setattr(material, "TYPED", {"espeak": (2.0, 100), "joe": (0.5, 20)})
    monkeypatch.setattr(material, "PART_MINUTES", 1)
    monkeypatch.setattr(material, "PART_KEYWORDS", 30)
    parts = talk_parts("train", "high", replace(settings, voices=str(voices), ear="ears"))
    assert len({part.file for part in parts}) == len({part.seed for part in parts}) == len(parts)
    assert max(part.minutes for part in parts) <= 1
    assert max(part.keywords for part in parts) <= 30

    def said(voice):
        of_it = [part for part in parts if part.voice == voice]
        return len(of_it), sum(part.minutes for part in of_it), sum(part.keywords for part in of_it)

    # 0.8 minutes of talk are meant; 80 keywords in parts of at most 30 are three of 27 (80 / 3, rounded).
    assert said(None) == pytest.approx((3, 1.6, 81))
    # A voice of another folder is taken for one like Joe.
    for path in (voices / "joe" / "one.onnx", voices / "noise.onnx", voices / "other.onnx"):
        assert said(path) == pytest.approx((1, 0.4, 16))


def test_a_typed_word_is_called_by_the_voices_of_the_talk_alone(settings, tone_corpus, monkeypatch):
    """Clips hold it as it is said in a row of words; so other voices call it for validation and test, too."""
    monkeypatch.setattr(material, "TYPED", {"espeak": (1.0, 10), "joe": (1.0, 10)})
    typed = replace(settings, ear="ears", say="a longer phrase")
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "high")
    for subset in SUBSETS:
        sounds = sounds_for(subset, clips, "high", split, typed)
        lengths = [len(word.waveform) / 16_000 for word in sounds.keywords]
        assert len(lengths) == (8 if subset == "train" else 6)
        assert min(lengths) > 0.6
        assert max(lengths) < 4
        assert sounds.words


@pytest.mark.parametrize("subset", ["validation", "test"])
def test_no_voice_that_is_learnt_from_is_judged_on(settings, voices, subset):
    (part,) = talk_parts(subset, "high", replace(settings, voices=str(voices)))
    assert (part.voice, part.keywords) == (None, 0)
    assert part.minutes == pytest.approx(0.8 / 6)
    assert part.seed not in {other.seed for other in talk_parts("train", "high", settings)}


def test_half_of_the_talk_is_by_neural_voices_and_kept(settings, voices, monkeypatch, tone_corpus, tmp_path):
    """Two voices say a quarter each, espeak-ng the rest in two parts; what is said is found again, part by part."""
    clips, cache = decode(tone_corpus), tmp_path / "cache"
    split, settings = speaker_split(clips.corpus, "high"), replace(settings, voices=str(voices))

    def talk():
        return sounds_for("train", clips, "high", split, settings)

    def times() -> dict[str, int]:
        return {path.stem.removeprefix("talk-high-"): path.stat().st_mtime_ns for path in sorted(cache.glob("talk-*"))}

    first, words = talk(), words_for("train", clips, "high", split)
    assert len(first.keywords) == len(words.keywords) + 8
    assert not words.talk
    kept = {name: torch.load(cache / f"talk-high-{name}.pt")["value"] for name in times()}
    assert {name: len(said["keywords"]) for name, said in kept.items()} == {"0-0": 2, "0-1": 2, "1-0": 2, "2-0": 2}
    for said in kept.values():
        assert sum(map(len, said["phrases"])) / 16_000 == pytest.approx(12, abs=5)
    assert not torch.equal(kept["0-0"]["keywords"][0], kept["0-1"]["keywords"][0])
    (cache / "talk-high-1-0.pt").unlink()
    before = times()
    assert same(first.talk, talk().talk)
    assert before.items() < times().items()
    described = voices / "other.onnx.json"
    described.write_text(described.read_text() + " ")  # another file, another voice
    before = times()
    talk()
    assert {name for name, time in times().items() if time != before[name]} == {"2-0"}


def test_any_number_of_jobs_says_the_same(settings, voices, monkeypatch, tmp_path, tone_corpus):
    monkeypatch.setitem(EFFORTS, "tiny", replace(EFFORTS["tiny"], talk_minutes=0.2))
    clips = decode(tone_corpus)
    split, said = speaker_split(clips.corpus, "high"), []
    for jobs in ("1", "2"):
        monkeypatch.setenv("KWS_JOBS", jobs)
        one = replace(settings, voices=str(voices), cache=str(tmp_path / jobs))
        said.append(sounds_for("train", clips, "high", split, one))
    assert same(said[0].talk, said[1].talk)
    assert same([word.waveform for word in said[0].keywords], [word.waveform for word in said[1].keywords])


def test_subsets_share_nothing(settings, tone_corpus, tmp_path, monkeypatch):
    """Neither speakers nor pieces of noise nor recorded speech; and talk by voices of their own."""
    monkeypatch.setitem(EFFORTS, "tiny", replace(EFFORTS["tiny"], talk_minutes=0.2))
    for folder, frequency in (("speech", 400), ("speech/validation", 500)):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.wav", tone(frequency, 32_000), 16_000)
    clips = decode(tone_corpus)
    split, settings = speaker_split(clips.corpus, "high"), replace(settings, speech=str(tmp_path / "speech"))
    found = {subset: sounds_for(subset, clips, "high", split, settings) for subset in SUBSETS}
    (noise,) = load_noises(clips.corpus)
    parts = {subset: sounds.noises[0] for subset, sounds in found.items()}
    assert torch.equal(torch.cat([parts["train"], parts["validation"], parts["test"]]), noise)
    assert [len(parts[subset]) / len(noise) for subset in SUBSETS] == pytest.approx([0.375, 0.125, 0.5])
    labels = clips.corpus.labels("high").numpy()
    for subset, sounds in found.items():
        said = 2 if subset == "train" else 0
        assert len(sounds.keywords) == labels[split[subset]].sum() + said
        assert len(sounds.words) == len(split[subset]) - labels[split[subset]].sum()
        assert sounds.talk
    assert not same(found["validation"].talk, found["test"].talk)
    assert [len(found[subset].recorded) for subset in SUBSETS] == [1, 1, 0]
    assert not torch.equal(found["train"].recorded[0], found["validation"].recorded[0])


def test_talk_from_a_folder_or_made(settings, tmp_path, capsys):
    for folder in ("talk", "empty"):
        (tmp_path / folder).mkdir()
    soundfile.write(tmp_path / "talk" / "a.wav", np.full(8_000, 0.1), 8_000)
    soundfile.write(tmp_path / "talk" / "b.flac", np.full(16_000, 0.2), 16_000)
    (tmp_path / "talk" / "._a.wav").write_text("of macOS")
    given = replace(settings, talk=str(tmp_path / "talk"))
    assert len(talk_scene(given, "high").waveform) == 2 * (16_000 + 8_000)
    (tmp_path / "talk" / "c.wav").write_text("no sound")
    scene = talk_scene(given, "high")
    assert len(scene.waveform) == 2 * (16_000 + 8_000)
    assert scene.keywords == []
    assert "c.wav" in capsys.readouterr().out  # left out, and named
    made = talk_scene(settings, "high")
    assert len(made.waveform) >= 0.1 * 60 * 16_000
    assert made.keywords == []
    with pytest.raises(FileNotFoundError, match="no sound file"):
        talk_scene(replace(settings, talk=str(tmp_path / "empty")), "high")


def test_talk_that_is_made_is_by_other_voices(settings, tmp_path):
    talk_scene(settings, "high")
    alarms = torch.load(tmp_path / "cache" / "talk-high-alarms-0.pt")["value"]["phrases"]
    others = [part.seed for subset in SUBSETS for part in talk_parts(subset, "high", settings)]
    assert 3 not in others
    assert torch.equal(talk_scene(settings, "high").waveform, talk_scene(settings, "high").waveform)
    assert not same(alarms, material.synthetic_talk("high", 0.1, 0, 1, 2, progress=False).phrases)


def test_half_a_second_of_silence_follows_each_recording():
    scene = in_a_row([torch.full((100,), 16_384, dtype=torch.int16), torch.full((50,), 0.25)])
    assert scene.waveform.tolist() == [0.5] * 100 + [0.0] * 8_000 + [0.25] * 50 + [0.0] * 8_000
    assert scene.keywords == []
