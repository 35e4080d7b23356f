"""Neural voices in the format of Piper (an ONNX file and its JSON), through onnxruntime: nearer to people than espeak-ng's.

Their format is that of https://github.com/OHF-Voice/piper1-gpl; a voice speaks IPA, each sign followed by a blank.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchaudio
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.data.corpus import CorpusError

# espeak-ng's names of the phonemes of its English accents, where they are not the IPA's already.
# fmt: off
IPA = {
    "tS": "tʃ", "dZ": "dʒ", "S": "ʃ", "Z": "ʒ", "T": "θ", "D": "ð", "N": "ŋ", "g": "ɡ", "r": "ɹ", "r-": "ɹ", "?": "ʔ", "t#": "ɾ", "t2": "t",
    "L": "l", "l#": "l", "n-": "n̩", "m-": "m", "@L": "əl", "@l": "əl", "i:": "iː", "I": "ɪ", "I2": "ɪ", "I#": "ᵻ", "E": "ɛ", "e": "ɛ",
    "a": "æ", "aa": "æ", "a#": "ɐ", "A:": "ɑː", "A@": "ɑːɹ", "A": "ɑ", "V": "ʌ", "0": "ɑː", "02": "ɑː", "O:": "ɔː", "O": "ɔ", "O2": "ɔ",
    "O#": "ɔ", "O@": "ɔːɹ", "o@": "ɔːɹ", "u:": "uː", "U": "ʊ", "U#": "ʊ", "eI": "eɪ", "aI": "aɪ", "aI@": "aɪə", "aI3": "aɪɚ", "aU": "aʊ",
    "aU@": "aʊɚ", "oU": "oʊ", "oU#": "oʊ", "OI": "ɔɪ", "oI": "ɔɪ", "3:": "ɜː", "3": "ɚ", "@": "ə", "@2": "ə", "@5": "ə", "@-": "ə",
    "i@": "iə", "i@3": "ɪɹ", "I@": "ɪɹ", "I@3": "ɪɹ", "e@": "ɛɹ", "U@": "ʊɹ", "x": "k", ";": "",
}
# fmt: on
IN_PLACE = {"ᵻ": "ɪ", "\u0329": ""}  # signs that a voice may lack, and what it says instead
STRESS = {"'": "ˈ", ",": "ˌ", "%": "", "=": ""}
STEP = 50  # Hz: resampling from a multiple of it is cheap


def ipa(phonemes: list[str]) -> str:
    """A word of espeak-ng's phonemes in the IPA."""
    spoken = ""
    for phoneme in phonemes:
        plain = phoneme.lstrip("".join(STRESS))
        spoken += "".join(STRESS[mark] for mark in phoneme[: len(phoneme) - len(plain)]) + IPA.get(plain, plain)
    return spoken.replace("ɹɹ", "ɹ")  # "e@ r" is the r of "hairy" named twice


def open_session(path: Path, seed: int) -> onnxruntime.InferenceSession:
    """A voice's network on one thread, the library's noise starting from ``seed``. Raises ``CorpusError`` if it cannot be loaded."""
    onnxruntime.set_seed(seed)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # with more, sums may come in another order
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no base class for its errors
        raise CorpusError(f"{path}: onnxruntime cannot load it ({error})") from error


class NeuralVoice:
    """One voice file, which may hold many speakers.

    The library draws its noise from a state that each new voice starts: the same calls in the same order give the same sound.
    """

    reads = False

    def __init__(self, path: str | Path, seed: int = 0):
        path = Path(path)
        try:
            config = json.loads(path.with_name(f"{path.name}.json").read_text())
            self.sample_rate, self.signs = int(config["audio"]["sample_rate"]), config["phoneme_id_map"]
            self.speakers = max(1, int(config.get("num_speakers", 1)))
            self._start, self._end, self._blank = (list(self.signs[sign]) for sign in "^$_")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorpusError(f"{path}: its JSON is not that of a Piper voice ({error!r})") from error
        if unknown := sorted({sign for spoken in IPA.values() for sign in spoken} - {*self.signs, *IN_PLACE}):
            raise CorpusError(f"{path}: it has no sign for {' '.join(unknown)}: it does not speak English IPA")
        self.session = open_session(path, seed)

    def say(
        self,
        words: list[list[str]],
        speaker: int = 0,
        pace: float = 1.0,
        size: float = 1.0,
        variety: float = 0.667,
        rhythm: float = 0.8,
    ) -> Tensor:
        """Words of espeak-ng's phonemes, said in one go: float (samples,) at 16 kHz. A sign that the voice has not is left out.

        Args:
            speaker: from 0 to ``speakers`` - 1.
            pace: 2 is twice as fast.
            size: 1.2 raises pitch and formants by a fifth, as a shorter throat does; the pace stays.
            variety, rhythm: how freely sounds and their lengths differ from one time to the next; 0 is always the same.
        """
        known = (sign if sign in self.signs else IN_PLACE.get(sign, "") for sign in " ".join(map(ipa, words)))
        signs = [i for sign in known for i in self.signs.get(sign, [])]
        ids = self._start + self._blank + [i for sign in signs for i in (sign, *self._blank)] + self._end
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([variety, size / pace, rhythm], np.float32),
        }
        if self.speakers > 1:
            inputs["sid"] = np.array([speaker], np.int64)
        waveform = torch.from_numpy(self.session.run(None, inputs)[0].reshape(-1))
        return torchaudio.functional.resample(waveform, STEP * round(self.sample_rate * size / STEP), SAMPLE_RATE)
