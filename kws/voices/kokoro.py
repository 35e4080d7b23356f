"""The voices of Kokoro-82M, through onnxruntime: one network and a vector of style for each speaker, blends of which are speakers too.

The network's inputs and its alphabet, which has one letter for each diphthong, are those of https://huggingface.co/hexgrad/Kokoro-82M
in an export to ONNX that takes "tokens", "style" and "speed", such as the one that ``make voices`` fetches.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torchaudio
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.data.corpus import CorpusError, visible_files
from kws.voices.piper import IPA, STEP, ipa, open_session

RATE = 24_000  # Hz, of what it says
STYLE = 256  # numbers of a speaker's style, which is given for each number of letters
STYLES = Path(__file__).with_name("kokoro_styles.npz")
"""The styles of Kokoro's 54 speakers, which no PyPI package holds (``recipes/kokoro_styles.py``).

Arrays: ``lengths`` (rows,) are numbers of letters, ``styles`` (speakers, rows, 256) float16 what a speaker is like at each, ``names``.
"""
LETTERS = {
    "eɪ": "A", "aɪ": "I", "aʊ": "W", "oʊ": "O", "ɔɪ": "Y", "tʃ": "ʧ", "dʒ": "ʤ",
    "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɚ": "əɹ", "ɐ": "ə", "ɾ": "T", "n̩": "ən", "ː": "",
}  # fmt: skip


def letters(words: list[list[str]]) -> str:
    """Words of espeak-ng's phonemes in Kokoro's alphabet, with a full stop."""
    return f"{letters_of(' '.join(map(ipa, words)))}."


def letters_of(spoken: str) -> str:
    """The IPA in Kokoro's alphabet."""
    for signs, letter in LETTERS.items():
        spoken = spoken.replace(signs, letter)
    return spoken.replace("ɹɹ", "ɹ")  # "3 r" is the r of "century" named twice


def usual_styles() -> list[np.ndarray]:
    """Of each of Kokoro's speakers the style (letters, 256) float32, between the rows that are kept in a straight line."""
    with np.load(STYLES) as kept:
        lengths, styles = kept["lengths"], kept["styles"].astype(np.float32)
    letters = np.arange(1, lengths[-1] + 1)
    above = np.searchsorted(lengths, letters).clip(1)
    share = ((letters - lengths[above - 1]) / (lengths[above] - lengths[above - 1])).astype(np.float32)[:, None]
    return [(1 - share) * style[above - 1] + share * style[above] for style in styles]


class KokoroVoice:
    """``NAME.onnx`` and its alphabet ``NAME.onnx.json`` ({"vocab": letters to numbers}), with the styles ``*.bin`` beside it or else ``STYLES``.

    Of n styles n * n speakers are made: number n * i + j speaks half as style i and half as j (and so as number n * j + i).
    The network draws noise from the library's state as Piper's voices do, but an 8-bit one may compute a little differently on another
    kind of processor. Raises ``CorpusError`` for files that are not those of such a voice.
    """

    reads = False

    def __init__(self, path: str | Path, seed: int = 0):
        path = Path(path)
        try:
            self.alphabet = {
                letter: int(i)
                for letter, i in json.loads(path.with_name(f"{path.name}.json").read_text())["vocab"].items()
            }
            self.styles = [
                np.fromfile(file, np.float32).reshape(-1, STYLE) for file in visible_files(path.parent, "*.bin")
            ] or usual_styles()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorpusError(
                f"{path}: its JSON and the .bin files beside it are not those of Kokoro ({error!r})"
            ) from error
        if not all(len(style) for style in self.styles):
            raise CorpusError(f"{path}: a style (.bin) beside it is empty")
        if unknown := sorted({letter for spoken in IPA.values() for letter in letters_of(spoken)} - {*self.alphabet}):
            raise CorpusError(f"{path}: its alphabet lacks {' '.join(unknown)}: it does not speak English")
        self.speakers = len(self.styles) ** 2
        self.session = open_session(path, seed)
        if (inputs := {i.name for i in self.session.get_inputs()}) != {"tokens", "style", "speed"}:
            raise CorpusError(f"{path}: it takes {', '.join(sorted(inputs))}; Kokoro must take tokens, style and speed")

    def say(
        self,
        words: list[list[str]],
        speaker: int = 0,
        pace: float = 1.0,
        size: float = 1.0,
        variety: float = 0.0,
        rhythm: float = 0.0,
    ) -> Tensor:
        """As ``NeuralVoice.say``, but the network has nothing for ``variety`` and ``rhythm``, which are not used."""
        ids = [self.alphabet[letter] for letter in letters(words) if letter in self.alphabet]
        first, second = (self.styles[i] for i in divmod(speaker, len(self.styles)))
        at = min(len(ids), len(first), len(second)) - 1
        inputs = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": (first[at : at + 1] + second[at : at + 1]) / 2,
            "speed": np.array([pace / size], np.float32),
        }
        waveform = torch.from_numpy(self.session.run(None, inputs)[0].reshape(-1))
        return torchaudio.functional.resample(waveform, STEP * round(RATE * size / STEP), SAMPLE_RATE)
