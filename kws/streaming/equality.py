"""Whether a stream says the same however its sound is cut, and what the offline model says of a second."""

import torch
from torch import Tensor

from kws.data.audio import SAMPLE_RATE
from kws.evaluate import keyword_probability
from kws.model import CRNN

LONGEST_CHUNK = 4.5  # as a power of ten: chunks of up to 30,000 samples are compared
NO_SAMPLES = 0.1  # share of the chunks which hold none


def seconds(waveform: Tensor) -> Tensor:
    """The whole seconds (seconds, 16000) of a waveform (samples,)."""
    return waveform[: len(waveform) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE)


@torch.inference_mode()
def largest_difference(model, waveform: Tensor, cuttings: int, seed: int = 0) -> float:
    """The largest difference in probability between random cuttings of a waveform (samples,) and the whole of it.

    Chunks are of none to 30,000 samples, short and long in turn. NaN if the model ever says NaN.
    """
    generator = torch.Generator().manual_seed(seed)
    model.reset()
    whole = model(waveform)
    largest = torch.zeros(())
    for _ in range(cuttings):
        model.reset()
        parts, position = [], 0
        while position < len(waveform):
            draw, empty = torch.rand(2, generator=generator).tolist()
            size = 0 if empty < NO_SAMPLES else int(10 ** (LONGEST_CHUNK * draw))
            parts.append(model(waveform[position : position + size]))
            position += size
        largest = torch.maximum(largest, (torch.cat(parts) - whole).abs().max())
    return float(largest)


@torch.inference_mode()
def first_second_difference(stream, model: CRNN, waveform: Tensor) -> float:
    """The largest difference between a stream one second after a reset and the offline model, over whole seconds."""
    clips = seconds(waveform)
    streamed = []
    for clip in clips:
        stream.reset()
        streamed.append(stream(clip)[-1])
    return float((torch.stack(streamed) - keyword_probability(model, clips)).abs().max())
