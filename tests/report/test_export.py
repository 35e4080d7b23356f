import numpy as np
import onnxruntime
import pytest
import torch

from kws.features import LogMel
from kws.model import CRNN, CRNNConfig
from kws.report.export import MatrixLogMel, WithFrontEnd, example, to_onnx, to_torchscript
from kws.research.tc_resnet import TCResNet

MODELS = {
    "base": CRNN(CRNNConfig()),
    "rnn": CRNN(
        CRNNConfig(pool=(2, 4), kernel=(6, 5), stride=(3, 2), norm=True, relu=True, rnn="rnn", attention="linear")
    ),
    "tc_resnet8": TCResNet(),
}


@pytest.mark.parametrize("front_end", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_every_runtime_gives_the_same_logits(name, batch, front_end):
    model = MODELS[name].eval()
    sound = example(model, front_end, batch)
    whole = WithFrontEnd(LogMel(), model) if front_end else model
    with torch.no_grad():
        expected = whole(sound)
        torch.testing.assert_close(to_torchscript(model, front_end, batch)(sound), expected, atol=1e-5, rtol=1e-4)
    session = onnxruntime.InferenceSession(to_onnx(model, front_end, batch), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"sound": sound.numpy()})
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4, rtol=1e-3)


def test_the_log_mel_by_matrices_is_the_log_mel():
    waveform = torch.randn(4, 5000) * torch.tensor([[1.0], [0.1], [1e-3], [0.0]])
    torch.testing.assert_close(MatrixLogMel(LogMel())(waveform), LogMel()(waveform), atol=2e-3, rtol=1e-4)
