"""Other engines for ``kws bench``: openWakeWord, microWakeWord and PocketSphinx, each where its package is installed.

``kws bench --word FOLDER --talk FOLDER --engine recipes.engines:OpenWakeWord=alexa`` in the repository's folder. Install what is asked for:
``openwakeword==0.5.1``, whose package brings the models, ``pymicro-wakeword``, or ``pocketsphinx``. openWakeWord wants tflite-runtime, which
newer Pythons lack: ``pip install --no-deps openwakeword==0.5.1`` and then ``pip install scikit-learn`` do without.
An adapter of another engine is a class like these. What it must have is told by ``Engine`` in ``kws/report/bench.py``.
"""

import math
from importlib.metadata import version
from pathlib import Path

import numpy as np

FEATURE_SAMPLES = 160  # between two features of microWakeWord
SILENT_STEPS = 25  # of 80 ms: two seconds, more than openWakeWord looks back on
LEAST, MOST, USUAL = -60, 20, -30  # log10 of PocketSphinx's scores that become 0 and 1, and of its own threshold
SCALE = 1024  # of a detection's score in PocketSphinx, SENSCR_SHIFT
OFFSET = 1500  # taken off it, KWS_MAX
MANY = 50  # detections of PocketSphinx after which its list starts anew


class Stepwise:
    """Cuts chunks of any length into steps; ``step`` of a subclass gives a step's probability, ``restart`` forgets the past.

    Subclasses set ``name``, ``keyword``, ``threshold``, ``step_samples``, ``first_sample`` and ``bytes``.
    """

    smoothing = 1

    def reset(self) -> None:
        """Forget what was heard."""
        self.pending = np.zeros(0, np.int16)
        self.restart()

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        """Samples (any number,) float32 in [-1, 1) to the probability of each new step (steps,)."""
        heard = np.concatenate([self.pending, (chunk * 32768).round().clip(-32768, 32767).astype(np.int16)])
        ends = range(self.step_samples, len(heard) + 1, self.step_samples)
        said = [self.step(heard[end - self.step_samples : end]) for end in ends]
        self.pending = heard[len(ends) * self.step_samples :]
        return np.array(said, np.float64)


class OpenWakeWord(Stepwise):
    """openWakeWord by David Scripka, its ONNX models, at the threshold of its examples. Raises ``ValueError`` for a word without a model."""

    threshold, step_samples, first_sample = 0.5, 1280, 1280

    def __init__(self, word: str):
        import openwakeword

        folder = Path(openwakeword.__file__).parent / "resources/models"
        words = {path.name.partition("_v0")[0]: path for path in folder.glob("*_v0*.onnx")}
        self.keyword, self.path = word, model_of(word, words, "openWakeWord")
        self.name = f"openWakeWord {version('openwakeword')}"
        self.make = lambda: openwakeword.Model(wakeword_models=[str(self.path)], inference_framework="onnx")
        files = [self.path, folder / "melspectrogram.onnx", folder / "embedding_model.onnx"]
        self.bytes = sum(file.stat().st_size for file in files)
        self.reset()

    def restart(self) -> None:
        # It begins with features of random noise, and without answers: silence drives them out.
        self.model = self.make()
        for _ in range(SILENT_STEPS):
            self.step(np.zeros(self.step_samples, np.int16))

    def step(self, samples: np.ndarray) -> float:
        return float(self.model.predict(samples)[self.path.stem])


class MicroWakeWord(Stepwise):
    """microWakeWord by Kevin Ahrendt, at its own threshold; it takes the mean of its probabilities itself. Raises as ``OpenWakeWord`` does."""

    def __init__(self, word: str):
        import pymicro_wakeword

        folder = Path(pymicro_wakeword.__file__).parent / "models"
        path = model_of(word, {path.stem: path for path in folder.glob("*.json")}, "microWakeWord")
        self.model = pymicro_wakeword.MicroWakeWord.from_config(path)
        self.features = pymicro_wakeword.MicroWakeWordFeatures()
        self.name, self.keyword = f"microWakeWord {version('pymicro-wakeword')}", word
        self.threshold = math.nextafter(self.model.probability_cutoff, 1)  # it must be passed, not reached
        self.step_samples = self.first_sample = self.model.stride * FEATURE_SAMPLES
        self.bytes = path.with_suffix(".tflite").stat().st_size
        self.reset()

    def restart(self) -> None:
        self.model.reset()
        self.features.reset()

    def step(self, samples: np.ndarray) -> float:
        # The network is asked once in so many features; for the others it gives 0.
        return max(
            (self.model.process_streaming_prob(f) for f in self.features.process_streaming(samples.tobytes())),
            default=0.0,
        )


class PocketSphinx(Stepwise):
    """PocketSphinx's search for a phrase, in US English, at its own threshold of 1e-30.

    Its scores run over many powers of ten: from 1e-60 to 1e20 they become 0 to 1 by their logarithm.
    Raises ``ValueError`` for words that its dictionary lacks.
    """

    threshold, step_samples, first_sample = (USUAL - LEAST) / (MOST - LEAST), 1600, 1600

    def __init__(self, word: str):
        from pocketsphinx import Decoder, get_model_path

        self.name, self.keyword = f"PocketSphinx {version('pocketsphinx')}", word
        settings = {"keyphrase": word.lower(), "kws_threshold": 10.0**LEAST, "lm": None, "loglevel": "FATAL"}
        self.make = lambda: Decoder(**settings)
        self.restart()
        if lacking := [part for part in word.lower().split() if self.decoder.lookup_word(part) is None]:
            raise ValueError(f"PocketSphinx's dictionary lacks {', '.join(lacking)}")
        self.log = self.decoder.get_logmath().log
        used = [*Path(get_model_path("en-us/en-us")).iterdir(), Path(get_model_path("en-us/cmudict-en-us.dict"))]
        self.bytes = sum(file.stat().st_size for file in used)
        self.reset()

    def restart(self) -> None:
        self.decoder, self.known = self.make(), set()
        self.decoder.start_utt()

    def step(self, samples: np.ndarray) -> float:
        self.decoder.process_raw(samples.tobytes())
        # Its list of detections grows, and a detection in it may still get better.
        found = {(s.start_frame, s.prob) for s in self.decoder.seg() or ()} if self.decoder.hyp() else set()
        new, self.known = found - self.known, found
        if len(found) > MANY:
            self.decoder.end_utt()
            self.decoder.start_utt()
            self.known = set()
        log10 = [SCALE * (self.log(prob) + OFFSET) / -self.log(0.1) for _, prob in new]
        return min(max([0.0, *((power - LEAST) / (MOST - LEAST) for power in log10)]), 1.0)


def model_of(word: str, models: dict[str, Path], engine: str) -> Path:
    """The model of a word. Raises ``ValueError`` that names the words, if it has none."""
    if word not in models:
        raise ValueError(f"{engine} has no model of {word!r}; it has {', '.join(sorted(models))}")
    return models[word]
