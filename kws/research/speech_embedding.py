"""A pretrained embedding of speech, for teachers: it has heard far more voices than any corpus here has.

Google's ``speech_embedding`` (Lin et al. 2020, arXiv:2002.01322), a convolutional network trained to tell 5,000 keywords apart, Apache-2.0.
Its weights come from a file of the package openWakeWord (``make embedding``), which uses it in the same way. No model that is
exported needs it.
"""

from pathlib import Path

import torch
import torchaudio
from torch import Tensor, nn

from kws.data.audio import SAMPLE_RATE
from kws.data.torch_files import CheckpointError
from kws.features import HOP

SIZE = 96  # features a step
FRAMES = 76  # of its spectrogram (10 ms) that a step hears
STEP = 8  # frames of 10 ms from step to step
LEAST = -2.0  # of the logarithm below: 16-bit silence
# Convolutions along bands and along time in turn, a kernel of 3 each; None is a pooling over bands and, at every other, over time.
CHANNELS = (24, 24, 24, None, 48, 48, 48, 48, None, 72, 72, 72, 72, None, 96, 96, 96, 96, None, 96, 96, 96, 96, None)


class SpeechEmbedding(nn.Module):
    """``embedding(waveform)``: (batch, samples) in [-1, 1] at 16 kHz to features (batch, 96, steps), a step every 80 ms.

    Step ``s`` has heard what lies before sample ``1280 s + 352`` and 0.77 s of it at most. What comes before the waveform is taken to be
    its mirror image, so that the first steps hear no sudden start.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(
            SAMPLE_RATE, 512, 400, HOP, 60.0, 3800.0, n_mels=32, norm="slaney", mel_scale="slaney", center=False
        )
        layers: list[nn.Module] = [nn.Conv2d(1, CHANNELS[0], 3, padding=(0, 1))]
        before, along_time, pools = CHANNELS[0], False, 0
        layers.append(_Act())
        for channels in CHANNELS[1:]:
            if channels is None:
                layers.append(nn.MaxPool2d((2 - pools % 2, 2)))
                pools += 1
                continue
            kernel = (3, 1) if along_time else (1, 3)
            layers += [nn.Conv2d(before, channels, kernel, padding=(0, kernel[1] // 2)), _Act()]
            before, along_time = channels, not along_time
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, SIZE, (3, 1), bias=False))

    def forward(self, waveform: Tensor) -> Tensor:
        spectrum = self.spectrum(waveform)
        mirrored = spectrum[:, 1 : FRAMES + 1].flip(1)
        # Half of the time, and what it changes is small beside what noise does.
        with torch.autocast(waveform.device.type, torch.bfloat16):
            return self.features(torch.cat([mirrored, spectrum], 1)).float()

    def of_long(self, waveform: Tensor) -> Tensor:
        """Features (96, steps) of a waveform (samples,) of any length, a minute at a time."""
        piece = 6000  # frames, a whole number of steps
        spectrum = torch.cat(
            [
                self.spectrum(waveform[None, first * HOP : (first + piece) * HOP + 352])[0]
                for first in range(0, max((len(waveform) - 352) // HOP, 1), piece)
            ]
        )
        heard = torch.cat([spectrum[1 : FRAMES + 1].flip(0), spectrum])
        parts = []
        with torch.autocast("cpu", torch.bfloat16):
            for first in range(0, len(heard) - FRAMES + 1, piece):
                parts.append(self.features(heard[None, first : first + piece + FRAMES - STEP])[0].float())
        return torch.cat(parts, 1)

    def spectrum(self, waveform: Tensor) -> Tensor:
        """Its own front end: (batch, frames, 32), the decimal logarithm of mel power of 16-bit samples, and 2."""
        return (self.mel(waveform * 32768).clamp_min(1e-10).log10().clamp_min(LEAST) + 2).transpose(1, 2)

    def features(self, spectrum: Tensor) -> Tensor:
        """(batch, 96, steps) of a spectrum (batch, frames, 32), the first when 76 frames are heard."""
        return self.layers(spectrum[:, None].contiguous(memory_format=torch.channels_last))[..., 0]


class _Act(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(x, 0.2).clamp_min(-0.4)


def embedded_steps(frames: int) -> Tensor:
    """The frames (steps,) of ``kws.features`` at which each step of the embedding of a scene of so many frames is there."""
    spectrum = ((frames - 1) * HOP - 512) // HOP + 1
    return STEP * torch.arange(spectrum // STEP + 1) + 3


def load_speech_embedding(path: str | Path) -> SpeechEmbedding:
    """The embedding of a file ``embedding_model.onnx``, in eval mode. Raises ``CheckpointError`` for another file."""
    import onnx  # slow to import, and needed here alone
    from google.protobuf.message import DecodeError
    from onnx.numpy_helper import to_array

    path = Path(path)
    try:
        graph = onnx.load_model_from_string(path.read_bytes()).graph
    except (OSError, DecodeError) as error:
        raise CheckpointError(
            f"{path}: not the speech embedding, which is embedding_model.onnx of openWakeWord: {error}"
        ) from error
    stored = {tensor.name: torch.from_numpy(to_array(tensor).copy()) for tensor in graph.initializer}
    theirs = [stored.get(name) for node in graph.node if node.op_type == "Conv" for name in node.input[1:]]
    embedding = SpeechEmbedding().eval()
    mine = [p for layer in embedding.layers if isinstance(layer, nn.Conv2d) for p in layer.parameters()]
    if [getattr(tensor, "shape", None) for tensor in theirs] != [p.shape for p in mine]:
        raise CheckpointError(f"{path}: not the speech embedding, its layers have other shapes")
    with torch.no_grad():
        for parameter, tensor in zip(mine, theirs, strict=True):
            parameter.copy_(tensor)
    return embedding.to(memory_format=torch.channels_last)
