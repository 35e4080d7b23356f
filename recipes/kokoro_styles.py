"""Make ``kws/voices/kokoro_styles.npz``: the styles of Kokoro's speakers, small enough to lie in the repository.

    npm pack kokoro-js@1.2.1 && tar -xzf kokoro-js-1.2.1.tgz
    python -m recipes.kokoro_styles package/voices

A style has 510 rows, for 1 to 510 letters, that change slowly. Kept are those of some lengths of a word or a phrase, in float16.
They are of Kokoro-82M (https://huggingface.co/hexgrad/Kokoro-82M), Apache License 2.0.
"""

import sys
from pathlib import Path

import numpy as np

from kws.voices.kokoro import STYLE, STYLES

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # letters


def main(folder: str) -> None:
    """Write the styles of the ``.bin`` files in a folder."""
    files = sorted(Path(folder).glob("*.bin"))
    styles = np.stack([np.fromfile(file, np.float32).reshape(-1, STYLE)[np.array(LENGTHS) - 1] for file in files])
    names = np.array([file.stem for file in files])
    np.savez_compressed(STYLES, lengths=np.array(LENGTHS), styles=styles.astype(np.float16), names=names)
    print(f"{STYLES}: {len(files)} styles, {STYLES.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1])
