"""What streams are made of: sounds, scenes of them for training, and long streams to be judged on."""

from kws.scenes.batches import IGNORED, OVER, Batch, batches_of, frame_labels
from kws.scenes.config import SceneConfig
from kws.scenes.recorded import cut_at_pauses, recorded_phrases, sound_files
from kws.scenes.scene import Scene, in_noise, long_stream, make_scene
from kws.scenes.sounds import Sounds, Word, halves, sounds_of, word_bounds

__all__ = [
    "IGNORED",
    "OVER",
    "Batch",
    "Scene",
    "SceneConfig",
    "Sounds",
    "Word",
    "batches_of",
    "cut_at_pauses",
    "frame_labels",
    "halves",
    "in_noise",
    "long_stream",
    "make_scene",
    "recorded_phrases",
    "sound_files",
    "sounds_of",
    "word_bounds",
]
