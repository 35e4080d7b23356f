"""Streams of every seed of a typed word, each with the threshold that it would ship with, for ``kws bench`` to compare.

.venv/bin/python -m kws train alexa --seeds 3
.venv/bin/python -m recipes.seed_streams alexa build/alexa
.venv/bin/python -m kws bench build/alexa/*.onnx --word RECORDINGS --talk TALK --noise NOISE --csv build/alexa.csv
"""

import argparse
from pathlib import Path

from kws.research.stream_choice import SMOOTHING, read_choice
from kws.research.stream_study import KIND
from kws.streaming import streaming_model
from kws.streaming.onnx_export import save_onnx_stream


def seed_streams(word: str, folder: str | Path) -> list[Path]:
    """Write ``folder/NETWORK-SEED.onnx`` of all trainings in ``weights/synthetic-WORD/seeds``. Raises ``FileNotFoundError`` without any."""
    seeds, written = Path("weights") / f"synthetic-{word}" / "seeds", []
    if not (choice := read_choice(seeds / "streaming_choice.json")):
        raise FileNotFoundError(f"{seeds / 'streaming_choice.json'}: not there; run kws train {word}")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for listener, points in choice.validation.items():
        network, seed = listener.split(", seed ")
        # The threshold is that of the fewest misses at the false alarms that were allowed on what was held out.
        checkpoint = seeds / f"{network}-{KIND}-{seed}.pt"
        model = streaming_model(checkpoint, threshold=points[0].threshold, smoothing=SMOOTHING)
        written.append(Path(folder) / f"{network}-{seed}.onnx")
        save_onnx_stream(model, written[-1])
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("word", help="the word, by the name of its folder below weights/")
    parser.add_argument("folder", help="where the streams go")
    options = parser.parse_args()
    print("\n".join(map(str, seed_streams(options.word, options.folder))))
