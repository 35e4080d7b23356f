"""The pretrained embedding: its layers are those of the file, checked with ONNX Runtime, and no step hears what comes after it."""

import numpy as np
import onnxruntime
import pytest
import torch

from kws.data.torch_files import CheckpointError
from kws.research.speech_embedding import SpeechEmbedding, embedded_steps, load_speech_embedding

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """An embedding of random weights, written as the pretrained one is: for one window of 76 frames."""
    path = tmp_path_factory.mktemp("embedding") / "embedding_model.onnx"
    torch.manual_seed(0)
    layers = SpeechEmbedding().eval().layers
    torch.onnx.export(layers, (torch.zeros(1, 1, 76, 32),), path, dynamo=False, input_names=["frames"])
    return path


@torch.inference_mode()
def test_it_is_the_file_s_network_window_by_window(file):
    embedding = load_speech_embedding(file)
    waveform = 0.1 * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(1))
    spectrum = embedding.spectrum(waveform)
    session = onnxruntime.InferenceSession(file)
    windows = [spectrum[:, None, first : first + 76].numpy() for first in range(0, spectrum.shape[1] - 75, 8)]
    theirs = np.concatenate([session.run(None, {"frames": window})[0][..., 0] for window in windows], 2)
    np.testing.assert_allclose(embedding.features(spectrum).numpy(), theirs, atol=1e-4)


@torch.inference_mode()
def test_a_step_hears_nothing_later(file):
    embedding = load_speech_embedding(file)
    waveform = 0.1 * torch.randn(32_000, generator=torch.Generator().manual_seed(1))
    whole = embedding(waveform[None])[0]
    assert whole.shape == (96, len(embedded_steps(32_000 // 160 + 1)))
    for step in (8, 15):
        heard = int(embedded_steps(201)[step]) * 160
        changed = waveform.clone()
        changed[heard:] = 0
        before = embedding(changed[None])[0, :, : step + 1]
        torch.testing.assert_close(before, whole[:, : step + 1], rtol=0, atol=0.01 * float(whole.std()) + 1e-3)
        assert not torch.allclose(embedding(changed[None])[0, :, step + 1 :], whole[:, step + 1 :])


@torch.inference_mode()
def test_a_long_waveform_is_heard_in_pieces(file):
    embedding = load_speech_embedding(file)
    waveform = 0.1 * torch.randn(130 * 16_000 + 77, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(embedding.of_long(waveform), embedding(waveform[None])[0])


def test_what_is_not_the_embedding_is_refused(file, tmp_path):
    other = tmp_path / "other.onnx"
    torch.onnx.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),), other, dynamo=False)
    with pytest.raises(CheckpointError, match="other shapes"):
        load_speech_embedding(other)
    other.write_text("no model")
    with pytest.raises(CheckpointError, match="not the speech embedding"):
        load_speech_embedding(other)
    with pytest.raises(CheckpointError, match="gone"):
        load_speech_embedding(tmp_path / "gone.onnx")
