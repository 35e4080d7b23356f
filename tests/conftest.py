"""A tiny corpus of tones, and the real recordings where they lie beside the checkout."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import kws
from kws.checkpoint import Provenance, save_model
from kws.data.corpus import Corpus, folder_corpus
from kws.model import CRNN, CRNNConfig, build
from kws.research.networks import EARS, FROM_EARS, RUNGS
from kws.research.scene_data import Maker, SceneData, scene_data
from kws.research.settings import Settings
from kws.research.speech_embedding import FRAMES, STEP, SpeechEmbedding
from kws.research.study import Study
from kws.scenes import SceneConfig, Sounds, Word, sounds_of, word_bounds
from kws.split import speaker_split
from kws.streaming import StreamingCRNN, scoring
from kws.views import decode

# Here, in workers, in notebooks and in commands: the models are tiny, more threads cost more than they bring.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
# Commands inherit what a shell that runs the tests in the background ignores: Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "weights" / "happy"
SHARED = ROOT.parent / "shared" / "speech_commands"
STEPS = CRNNConfig(
    pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), hidden=8, layers=1
)  # a small network of streams
EAR = replace(STEPS, attention="linear")
SIGNS = {sign: [i] for i, sign in enumerate("_^$ abdehijklmnoprstuvwzæðŋɐɑɔəɚɛɜɡɪɫɹɾʃʊʌʒʔˈˌːθfxᵻ\u0329")}  # noqa: RUF001
SAMPLES = 100  # of noise for each id of a voice
SHAPES = {
    "one layer": CRNNConfig(rnn="rnn", kernel=(5, 8), layers=1),
    "pooled": CRNNConfig(pool=(2, 5), channels=4, kernel=(6, 4), stride=(3, 2), norm=True, relu=True, hidden=12),
    "separable": CRNNConfig(separable=True, kernel=(6, 7), stride=(3, 5), attention="linear"),
    "deep": CRNNConfig(
        channels=6,
        kernel=(10, 5),
        stride=(5, 2),
        deeper=((8, (7, 3), (1, 2)), (9, (1, 4), (1, 2))),
        norm=True,
        hidden=12,
    ),
}


def tone(frequency: float, samples: int = 16_000, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    time = np.arange(samples) / 16_000
    return 0.3 * np.sin(2 * np.pi * frequency * time) + noise * np.random.default_rng(seed).standard_normal(samples)


def write_tone_corpus(folder: Path, speakers: int = 20, takes: int = 2) -> Path:
    """Words that differ in pitch: ``low``, ``high`` and ``rise``, some shorter than a second, wav and flac mixed."""
    words = {"low": 300.0, "high": 1500.0, "rise": 700.0}
    for i in range(speakers):
        for word, frequency in words.items():
            for take in range(takes):
                path = folder / word / f"{i:08x}_nohash_{take}.{'flac' if i % 3 == 0 else 'wav'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                samples = 16_000 if i % 4 else 12_345
                soundfile.write(path, tone(frequency * (1 + 0.01 * i), samples, seed=100 * i + take), 16_000)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hiss.wav", tone(50, 48_000, noise=0.1), 16_000)
    return folder


@pytest.fixture(scope="session")
def tone_folder(tmp_path_factory) -> Path:
    return write_tone_corpus(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def tone_corpus(tone_folder) -> Corpus:
    return folder_corpus(tone_folder, "tones")


@pytest.fixture(scope="session")
def real_folder() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real recordings are not beside the checkout")
    return SHARED


def offline(name: str) -> CRNN:
    """A committed model, or an untrained one of a shape."""
    torch.manual_seed(1)
    return CRNN(SHAPES[name]).eval() if name in SHAPES else kws.load_model(WEIGHTS / f"{name}.pt")


def network(name: str, carried: bool) -> StreamingCRNN:
    return StreamingCRNN(offline(name), carried)


def sound(samples: int, seed: int = 0) -> torch.Tensor:
    """Bursts of noise of many levels, and silence."""
    generator = torch.Generator().manual_seed(seed)
    level = 10 ** torch.empty(samples // 2000 + 1, 1).uniform_(-5, 0, generator=generator)
    level[torch.rand(len(level), generator=generator) < 0.2] = 0
    return (torch.randn(len(level), 2000, generator=generator) * level).flatten()[:samples]


def stream(model, waveform: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    model.reset()
    parts = [model(chunk) for chunk in waveform.split([*sizes, len(waveform) - sum(sizes)])]
    return torch.cat(parts)


def cutting(samples: int, generator: torch.Generator) -> list[int]:
    """Sizes of chunks, short and long in turn, none to 30,000 samples, that together are at most so many."""
    sizes: list[int] = []
    while True:
        draw, empty = torch.rand(2, generator=generator).tolist()
        size = 0 if empty < 0.1 else int(10 ** (4.5 * draw))
        if sum(sizes) + size > samples:
            return sizes
        sizes.append(size)


def high_and_low(tone_corpus):
    """Its clips, split by speakers, and the sounds to train and validate on, in noise."""
    clips = decode(tone_corpus)
    split = speaker_split(clips.corpus, "high")
    noise = [(1000 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)]
    return clips, split, {subset: sounds_of(clips, "high", split[subset], noise) for subset in ("train", "validation")}


def tone_scenes(
    tone_corpus, scenes: int = 96, validation_scenes: int = 32, config=SceneConfig(seconds=2.0), **how
) -> tuple[SceneData, Maker]:
    """Scenes of high and low tones to train streams on, and what makes more of them; ``how`` is of the ``Maker``."""
    clips, split, sounds = high_and_low(tone_corpus)
    maker = Maker(sounds, config, **how)
    return scene_data(clips.corpus, "high", split, maker, scenes, validation_scenes), maker


def small_ears(patch: pytest.MonkeyPatch, folder: str) -> None:
    """Networks of typed words are small here, and begin as the ears that are written to a folder; few thresholds are tried."""
    patch.setattr(scoring, "THRESHOLDS", 40)
    torch.manual_seed(5)
    for name, rung in FROM_EARS.items():
        narrower = {"hidden": 6, "channels": 3} if name == "streaming_middle" else {}
        patch.setitem(FROM_EARS, name, replace(rung, config=replace(EAR, **narrower)))
    for name in EARS:
        save_ear(Path(folder) / f"{name}.pt")


def save_ear(path: Path) -> None:
    """A small ear of chance weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, CRNN(EAR).eval(), Provenance("", "tones", "", "", 0, 0, {}))


class MeanEmbedding(SpeechEmbedding):
    """Of the shape and the times of the pretrained embedding, but quick: each step is the mean of the frames that it hears."""

    def features(self, spectrum: torch.Tensor) -> torch.Tensor:
        return spectrum.unfold(1, FRAMES, STEP).mean(3).transpose(1, 2).repeat(1, 3, 1)


def burst(frequency: float, start: float, end: float, noise: float = 1e-4) -> torch.Tensor:
    """A tone within a second of faint noise, int16."""
    time = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * frequency * time) * ((time >= start) & (time < end))
    tone += noise * np.random.default_rng(0).standard_normal(16_000)
    return torch.from_numpy((tone * 32767).astype(np.int16))


def tones() -> Sounds:
    """The keyword is high, other words are low."""
    keyword, other = burst(3000, 0.3, 0.7), burst(300, 0.2, 0.6)
    noise = (1000 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))).to(torch.int16)
    return Sounds([Word(keyword, *word_bounds(keyword))], [Word(other, *word_bounds(other))], [], [noise])


def write_voice(path, speakers=1):
    """A voice that says ``SAMPLES`` samples of noise for each id, times the length scale; as quiet as its speaker's number is high."""
    import onnx
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "n"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    nodes = [
        helper.make_node("Gather", ["scales", "one"], ["scale"]),
        helper.make_node("Cast", ["input_lengths"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ids", "samples"], ["length"]),
        helper.make_node("Mul", ["length", "scale"], ["scaled"]),
        helper.make_node("Cast", ["scaled"], ["shape"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["shape"], ["silence"]),
        helper.make_node("RandomNormalLike", ["silence"], ["noise"]),
    ]
    constants = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("samples", TensorProto.FLOAT, [1], [SAMPLES]),
    ]
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
        nodes += [
            helper.make_node("Cast", ["sid"], ["number"], to=TensorProto.FLOAT),
            helper.make_node("Pow", ["tenth", "number"], ["gain"]),
            helper.make_node("Mul", ["noise", "gain"], ["output"]),
        ]
        constants.append(helper.make_tensor("tenth", TensorProto.FLOAT, [1], [0.1]))
    else:
        nodes.append(helper.make_node("Identity", ["noise"], ["output"]))
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["m"])
    graph = helper.make_graph(nodes, "voice", inputs, [output], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    config = {"audio": {"sample_rate": 22050}, "num_speakers": speakers, "phoneme_id_map": SIGNS}
    path.with_name(f"{path.name}.json").write_text(json.dumps(config))
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The notebooks first: they take longest, and one core has them while the others have the rest."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


def write_networks(study: Study, names: dict[str, tuple[str, ...]], seeds: int = 2) -> None:
    """Untrained networks by name, saved for some kinds of split."""
    for name, kinds in names.items():
        for kind in kinds:
            for seed in range(seeds):
                torch.manual_seed(seed)
                study.write((name, kind, seed), build(RUNGS[name].config).eval(), 0.0, "float32", False)


@contextmanager
def untrained_study(folder: Path, corpus: Path, names: dict[str, tuple[str, ...]], seeds: int = 2) -> Iterator[Study]:
    """A study of the word ``low`` in a folder of its own, with untrained networks, in one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("KWS_JOBS", "1")
        found = Study(Settings(str(corpus), "low", seeds=seeds, cache="cache"))
        write_networks(found, names, seeds)
        yield found
