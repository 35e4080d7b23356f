# ruff: noqa: RUF003 - the IPA is meant
"""Kokoro's voices: its alphabet, blends of styles as speakers, pace and size; with a made-up network that says noise."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from kws.data.corpus import CorpusError
from kws.voices.espeak import Espeak
from kws.voices.find import files_of, find_voices, open_voice
from kws.voices.kokoro import STYLE, STYLES, KokoroVoice, letters
from kws.voices.phonemes import CONSONANTS, VOWELS
from kws.voices.words import WORDS

ALPHABET = {letter: i for i, letter in enumerate("$ .abdefhijklmnoprstuvwzæðŋɑɔəɛɜɡɪɹʃʊʌʒʔˈˌθAIOTWYiʧʤᵻ")}
SAMPLES = 240  # of noise for each letter
LOUDNESS = (1.0, 0.1)  # of the two styles


@pytest.fixture
def voice(tmp_path):
    """A voice that says noise for each of its tokens, over the speed, as loud as the first number of the style."""
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, STYLE]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    nodes = [
        helper.make_node("Shape", ["tokens"], ["shape"]),
        helper.make_node("Gather", ["shape", "second"], ["ids"]),
        helper.make_node("Cast", ["ids"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["count", "samples"], ["at_once"]),
        helper.make_node("Div", ["at_once", "speed"], ["length"]),
        helper.make_node("Cast", ["length"], ["whole"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["whole"], ["silence"]),
        helper.make_node("RandomNormalLike", ["silence"], ["noise"]),
        helper.make_node("Gather", ["style", "zero"], ["loudness"], axis=1),
        helper.make_node("Mul", ["noise", "loudness"], ["waveform"]),
    ]
    constants = [
        helper.make_tensor("second", TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        helper.make_tensor("samples", TensorProto.FLOAT, [1], [SAMPLES]),
    ]
    output = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "m"])
    graph = helper.make_graph(nodes, "voice", inputs, [output], constants)
    path = tmp_path / "kokoro" / "noise.onnx"
    path.parent.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    path.with_name("noise.onnx.json").write_text(json.dumps({"vocab": ALPHABET}))
    for name, loudness in zip("ab", LOUDNESS, strict=True):
        np.full((500, STYLE), loudness, np.float32).tofile(path.with_name(f"{name}.bin"))
    return path


def test_its_alphabet_has_one_letter_for_each_diphthong():
    assert letters([["h", "'a", "p", "i"]]) == "hˈæpi."
    assert letters([["tS", "'3:", "tS"], ["g", "'oU"]]) == "ʧˈɜɹʧ ɡˈO."
    espeak = Espeak()
    words = [espeak.phonemes(word) for word in WORDS] + [[c, v] for c in CONSONANTS for v in VOWELS]
    assert {letter for word in words for letter in letters([word])} <= set(ALPHABET)


def test_pace_and_size(voice):
    speaker = KokoroVoice(voice)
    seconds = SAMPLES * (2 + 6) / 24_000  # start, end and "hˈæpi."
    for pace, size in ((1.0, 1.0), (2.0, 1.0), (1.0, 1.3)):
        said = speaker.say([["h", "'a", "p", "i"]], pace=pace, size=size)
        assert len(said) / 16_000 == pytest.approx(seconds / pace, rel=0.02)


def test_speakers_are_blends_of_two_styles(voice):
    speaker = KokoroVoice(voice)
    assert speaker.speakers == 4
    said = [speaker.say([["h", "'a", "p", "i"]] * 20, number).std() for number in range(4)]
    wanted = [1.0, 0.55, 0.55, 0.1]
    assert [float(x / said[0]) for x in said] == pytest.approx(wanted, rel=0.1)


def test_the_usual_styles_speak_where_no_other_lies_beside_it(voice):
    for name in "ab":
        voice.with_name(f"{name}.bin").unlink()
    speaker = KokoroVoice(voice)
    assert speaker.speakers == 54**2
    with np.load(STYLES) as kept:
        lengths, styles = kept["lengths"], kept["styles"].astype(np.float32)
    for style, rows in zip(speaker.styles, styles, strict=True):
        np.testing.assert_array_equal(style[lengths - 1], rows)
        # Between two lengths it changes in a straight line: 5 letters are half way from 4 to 6, 9 a quarter from 8 to 12.
        np.testing.assert_allclose(style[4], (style[3] + style[5]) / 2, atol=1e-6)
        np.testing.assert_allclose(style[8], 0.75 * style[7] + 0.25 * style[11], atol=1e-6)
    assert len(speaker.say([["h", "'a", "p", "i"]])) > 0


def test_the_same_calls_give_the_same_sound(voice):
    a, b = KokoroVoice(voice), KokoroVoice(voice)
    first = [a.say([["h", "'a"]]) for _ in range(2)]
    assert not torch.equal(*first)
    assert all(torch.equal(x, b.say([["h", "'a"]])) for x in first)


def test_it_is_told_from_pipers_by_its_json(voice):
    for hidden in ("._noise.onnx", "._noise.onnx.json", "._a.bin"):  # as macOS leaves them
        voice.with_name(hidden).write_bytes(b"\0\5\x16\7")
    assert find_voices(voice.parent.parent) == [voice]
    assert isinstance(open_voice(voice), KokoroVoice)
    assert {path.name for path in files_of(voice)} == {"noise.onnx", "noise.onnx.json", "a.bin", "b.bin"}
    voice.with_name("noise.onnx.json").write_text("{}")
    with pytest.raises(CorpusError, match="not that of a Piper voice"):
        open_voice(voice)


def test_what_is_no_voice_is_refused(voice):
    described = voice.with_name("noise.onnx.json")
    described.write_text('{"vocab": ["a"]}')
    with pytest.raises(CorpusError, match="not those of Kokoro"):
        KokoroVoice(voice)
    described.write_text(json.dumps({"vocab": ALPHABET}))
    voice.with_name("a.bin").write_bytes(b"1234" * 100)
    with pytest.raises(CorpusError, match="not those of Kokoro"):
        KokoroVoice(voice)
    voice.with_name("a.bin").write_bytes(b"")
    with pytest.raises(CorpusError, match="is empty"):
        KokoroVoice(voice)
    np.ones((500, STYLE), np.float32).tofile(voice.with_name("a.bin"))
    described.write_text(json.dumps({"vocab": {letter: i for letter, i in ALPHABET.items() if letter not in "AT"}}))
    with pytest.raises(CorpusError, match="lacks A T"):
        KokoroVoice(voice)
    described.write_text(json.dumps({"vocab": ALPHABET}))
    model = onnx.load(voice)
    model.graph.input[0].name = model.graph.node[0].input[0] = "input_ids"
    onnx.save(model, voice)
    with pytest.raises(CorpusError, match="it takes input_ids, speed, style"):
        KokoroVoice(voice)
    voice.write_bytes(b"not ONNX")
    with pytest.raises(CorpusError, match=r"noise.onnx: onnxruntime cannot load it"):
        open_voice(voice)
