"""A model that listens: samples in, in chunks of any length, detections out.

The ONNX form is not imported here, for it needs onnxruntime: see ``kws.streaming.onnx_stream`` and ``onnx_export``.
"""

from kws.streaming.detection import Detection, Detector
from kws.streaming.equality import first_second_difference, largest_difference
from kws.streaming.model import StreamingModel, load_stream, save_stream, streaming_model
from kws.streaming.network import StreamingCRNN
from kws.streaming.scoring import WAYS, Listener, StreamListener, WorkingPoint, points, threshold_for
from kws.streaming.two_stage import TwoStage

__all__ = [
    "WAYS",
    "Detection",
    "Detector",
    "Listener",
    "StreamListener",
    "StreamingCRNN",
    "StreamingModel",
    "TwoStage",
    "WorkingPoint",
    "first_second_difference",
    "largest_difference",
    "load_stream",
    "points",
    "save_stream",
    "streaming_model",
    "threshold_for",
]
