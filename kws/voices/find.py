"""Neural voices of either format below a folder: Piper's, and Kokoro's with its styles."""

import json
from pathlib import Path

from kws.data.corpus import CorpusError, visible_files
from kws.voices.kokoro import KokoroVoice
from kws.voices.piper import NeuralVoice

Voice = NeuralVoice | KokoroVoice


def find_voices(folder: str | Path) -> list[Path]:
    """The voices below a folder, each an ``.onnx`` beside an ``.onnx.json``. Raises ``CorpusError`` if there is none."""
    found = [path for path in visible_files(folder, "**/*.onnx") if path.with_name(f"{path.name}.json").is_file()]
    if not found:
        raise CorpusError(f"{folder}: no voice of Piper or Kokoro below it, which is NAME.onnx beside NAME.onnx.json")
    return found


def open_voice(path: Path) -> Voice:
    """A voice, by what its JSON holds: Kokoro's has a "vocab". Raises ``CorpusError`` for what is no voice."""
    try:
        kokoro = "vocab" in json.loads(path.with_name(f"{path.name}.json").read_text())
    except (OSError, ValueError, TypeError):
        kokoro = False  # Piper's class says what is wrong
    return KokoroVoice(path) if kokoro else NeuralVoice(path)


def files_of(path: Path) -> list[Path]:
    """The files that make a voice."""
    return [path, path.with_name(f"{path.name}.json"), *visible_files(path.parent, "*.bin")]
