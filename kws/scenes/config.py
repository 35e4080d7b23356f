"""How scenes differ: every share and range that is drawn from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneConfig:
    """How scenes differ. Each (low, high) is drawn uniformly, each share is within 0 and 1.

    Attributes:
        seconds: length of a scene.
        keyword_share: of the pieces of speech; the rest are words and talk.
        no_keyword, no_speech: of the scenes, those without the keyword, and those of noise alone.
        altered_share: of the other pieces, keywords of which half or more is replaced by part of another word.
            They are nearly the keyword, in voices that are real.
        part_share: of the rest, at most half of a keyword.
        crossed_share: of the keywords, the first part of one and the last of another.
            Without these, being joined would tell what is altered from the keyword.
        talk_share: of the rest, phrases of talk.
        splice_share: of the rest, parts of two to four words: words that nobody said.
        recorded_share: of talk, splices and alterations, those of recorded speech where there is some.
        whole_share: of the words, those with all of their second rather than cut to the word.
        pause: seconds between pieces, for ``pause_share`` of them; the others follow within 0.1 s.
        speed: of a piece, with its pitch; 1 is as recorded.
        piece_gain_db: of a piece, about a voice's usual level.
        room_share: of the scenes, in a room. rt60_seconds: until its echo has decayed by 60 dB.
        reverberant_level: of the echo, over the direct sound.
        noise_share: of the scenes, with noise. snr_db: power of the speech over that of the noise.
        made_up_share, babble_share: of noises, white noise and many voices at once; the rest are recorded.
        noise_speed: at which recorded noise is played. Few recordings are soon known by heart.
        shaped_share: of noises, those with a spectrum of their own.
        shape_db: up to which that is louder or fainter at each of eight frequencies.
        swelling_share: of noises, those that get louder and fainter in time, by up to ``shape_db``.
        narrow_share: of the pieces, those without what is above ``narrow_hz``, as much recorded speech is.
        microphone_share: of the scenes, with a spectrum that differs by up to ``microphone_db``.
        level_db: root mean square of the scene, of full scale.
    """

    seconds: float = 4.0
    keyword_share: float = 0.3
    no_keyword: float = 0.25
    no_speech: float = 0.05
    altered_share: float = 0.2
    part_share: float = 0.08
    crossed_share: float = 0.2
    talk_share: float = 0.5
    splice_share: float = 0.4
    recorded_share: float = 0.5
    whole_share: float = 0.5
    pause: tuple[float, float] = (0.1, 1.2)
    pause_share: float = 0.5
    speed: tuple[float, float] = (0.87, 1.15)
    piece_gain_db: tuple[float, float] = (-6.0, 6.0)
    room_share: float = 0.3
    rt60_seconds: tuple[float, float] = (0.08, 0.5)
    reverberant_level: tuple[float, float] = (0.2, 0.8)
    noise_share: float = 0.85
    snr_db: tuple[float, float] = (2.0, 35.0)
    made_up_share: float = 0.2
    babble_share: float = 0.2
    noise_speed: tuple[float, float] = (0.6, 1.6)
    shaped_share: float = 0.7
    shape_db: float = 12.0
    swelling_share: float = 0.3
    narrow_share: float = 0.15
    narrow_hz: tuple[float, float] = (3400.0, 6500.0)
    microphone_share: float = 0.5
    microphone_db: float = 5.0
    level_db: tuple[float, float] = (-40.0, -15.0)
