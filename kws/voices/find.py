"""Neural voices below a folder: Piper's, Kokoro's with its styles, and Silero's."""

import json
from pathlib import Path

from kws.data.corpus import CorpusError, visible_files
from kws.voices.kokoro import KokoroVoice
from kws.voices.piper import NeuralVoice
from kws.voices.silero import NAME, SileroVoice

Voice = NeuralVoice | KokoroVoice | SileroVoice


def find_voices(folder: str | Path) -> list[Path]:
    """The voices below a folder, an ``.onnx`` beside an ``.onnx.json`` or Silero's file. Raises ``CorpusError`` if there is none."""
    found = [path for path in visible_files(folder, "**/*.onnx") if path.with_name(f"{path.name}.json").is_file()]
    found += visible_files(folder, f"**/{NAME}")
    if not found:
        raise CorpusError(f"{folder}: no voice of Piper or Kokoro below it, which is NAME.onnx beside NAME.onnx.json")
    return found


def open_voice(path: Path) -> Voice:
    """A voice, by its name and by what its JSON holds: Kokoro's has a "vocab". Raises ``CorpusError`` for what is no voice."""
    if path.name == NAME:
        return SileroVoice(path)
    try:
        kokoro = "vocab" in json.loads(path.with_name(f"{path.name}.json").read_text())
    except (OSError, ValueError, TypeError):
        kokoro = False  # Piper's class says what is wrong
    return KokoroVoice(path) if kokoro else NeuralVoice(path)


def files_of(path: Path) -> list[Path]:
    """The files that make a voice."""
    if path.name == NAME:
        return [path]
    return [path, path.with_name(f"{path.name}.json"), *visible_files(path.parent, "*.bin")]
