"""Running speech without the keyword, said by synthetic voices: what a model that listens all day must stay silent at.

Phrases of common words, of made-up words, and with words that sound like the keyword in between, each said in one go by a voice of
its own kind. It stands in for recorded talk, which a corpus of single words has not. espeak-ng's voices are always there; neural ones,
which sound like people, are for the user to bring.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from kws.data.acoustics import convolve
from kws.data.audio import SAMPLE_RATE, to_int16
from kws.data.corpus import CorpusError
from kws.voices.find import Voice
from kws.voices.synthetic import (
    SIMILAR,
    Mouth,
    SyntheticConfig,
    make_speaker,
    plain_phonemes,
    room_and_microphone,
    similar_words,
    trimmed,
)

# fmt: off
WORDS = (
    "a able about above across act add afraid after again age ago agree air all allow almost alone along already also always am among an"
    " and angry animal another answer any appear apple are area arm around arrive art as ask at away baby back bad bag ball bank bar base"
    " basket be beautiful because become bed before begin behind believe below beside best better between big bird bit black blood blue"
    " board boat body book both bottle bottom box boy branch bread break bridge bright bring brother brown build burn bus business but"
    " button buy by cabin call camp can capital car card care carry case castle cat catch cause center century certain chair change"
    " chapter charge cheap check child choose church circle city class clean clear climb clock close cloud coat cold collect color come"
    " common company compare complete consider contain continue control cook cool copy corner correct cost could count country course"
    " cover create cross crowd cry cup cut daily dance danger dark daughter day dead deal dear decide deep depend describe desert develop"
    " did different difficult dinner direct discover do doctor dog door double doubt down draw dream dress drink drive drop dry during each"
    " early earth east easy eat edge effect egg eight either electric else empty end enemy engine enjoy enough enter equal even evening"
    " ever every exact example except excite exercise expect experience eye face fact fair fall family famous far farm fast father favor"
    " fear feel few field fight figure fill find fine finger finish fire first fish five flat floor flow flower fly follow food foot for"
    " force foreign forest forget form forward four free fresh friend from front fruit full funny game garden gate gather general gentle"
    " get girl give glad glass go gold good got govern gray great green ground group grow guess guide had hair half hand handle hang"
    " happen hard has hat have he head hear heart heat heavy hello help her here high hill him his history hit hold hole home hope horse"
    " hospital hot hotel hour house how huge human hundred hungry hunt hurry ice idea if imagine important in inch increase indeed inside"
    " instead into iron is island it job join jump just keep key kill kind king kitchen knee knife know lady lake land language large last"
    " late laugh law lay lead learn least leave left leg lend less let letter level lie life lift light like line listen little live local"
    " long look lose lot love low machine main make man many map mark market master match material matter may me mean measure meat meet"
    " member mention metal method middle might mile milk million mind minute miss mix modern moment money month moon more morning most"
    " mother mountain mouth move much music must my name narrow nation nature near necessary neck need never new next night nine no noise"
    " none north nose not note nothing notice now number object ocean of off offer office often oil old on once one only open or order"
    " other our out over own page pain paint pair paper parent park part party pass past path pay peace pen people pepper perfect perhaps"
    " period person phone piece place plain plan plant play please pocket point poor possible power present press pretty price problem"
    " produce promise proper protect proud public pull push put quarter queen question quick quiet quite race radio rain raise ran reach"
    " read ready real reason receive record red remember repeat reply report rest result return rich ride right ring rise river road rock"
    " roll room root rope round rule run sad safe sail salt same sand save say school science sea season seat second secret see seed seem"
    " sell send sense separate serious serve set settle seven several shape share sharp she ship shoe shop short should shoulder shout"
    " show side sign silver simple since sing sister sit six size skill skin sky sleep slow small smell smile smoke snow so soft soldier"
    " some son song soon sound south space speak special speed spend spoke spot spread spring square stage stand star start state station"
    " stay steel step still stone stood stop store storm story strange stream street strength strong student study subject such sudden"
    " sugar suit summer sun supper support sure surface surprise swim table tail take talk tall taste teach team tell temper ten test than"
    " thank that the their then there these they thick thin thing think third this those thought thousand three through throw tie time"
    " tiny to today together told tomorrow tonight too took tool top total touch toward town track trade train travel tree trip trouble"
    " true trust try turn twelve twenty two type uncle under understand unit until up upper us use usual valley value vapor various very"
    " view village visit voice wait walk wall want war warm was wash watch water wave way we wear weather week weight well went were west"
    " what wheel when where whether which while white who whole why wide wife wild will win wind window winter wish with within without"
    " woman wonder wood word work world worry would write wrong yard year yellow yes yesterday yet you young zero"
    # Endings that many words share, for keywords that end so.
    " army belly berry body busy candy carry cherry city cloudy coffee cookie copy county dirty dizzy dusty easy empty energy fancy ferry"
    " foggy forty fuzzy glory guilty hairy hobby hockey honey hungry jelly juicy kitty lazy lobby lucky many messy mercy movie navy nasty"
    " ninety pony pity puppy rainy rocky rugby rusty safety salty sixty snowy sorry spicy sticky taxi tasty thirsty thirty tidy treaty turkey"
    " ugly windy"
).split()
CONSONANTS = "p b t d k g f v s z S m n l r w j h tS dZ T".split()
VOWELS = "i: I E a A: V 0 O: u: U eI aI oU 3: @ i".split()
# fmt: on
VERSION = 7  # of what is said: raise it when that changes, or talk made before would be taken for new
ALIKE = {"i:": "i", "I": "i", "0": "A:", "02": "A:", "e": "E", "aa": "a"}
# Phonemes of one row sound alike from afar: voiceless, voiced and sonorous consonants, open, mid and close vowels.
ROWS = [
    row.split()
    for row in (
        "p t k f T s S h tS", "b d g v D z Z dZ", "m n N l r w j",
        "a aa A: 0 02 O: V aI aU", "e E eI @ 3: oU", "i i: I u: U",
    )
]  # fmt: skip
CONFUSABLE_SHARE, NEAR_SHARE, MADE_UP_SHARE = 0.15, 0.15, 0.1  # of the words of a phrase
NEAR_WORDS = 40


@dataclass(frozen=True)
class Talk:
    """Phrases without the keyword, and the keyword alone, said by the same voices; (samples,) int16 at 16 kHz.

    Without the second a model would learn that a synthetic voice never says the keyword, and nothing of the words.
    """

    phrases: list[Tensor]
    keywords: list[Tensor]


def synthetic_talk(
    keyword: str,
    minutes: float,
    keywords: int = 500,
    seed: int = 0,
    speakers: int = 100,
    voice: Voice | None = None,
    progress: bool = True,
) -> Talk:
    """So many minutes of phrases and so many keywords, by speakers of espeak-ng or of a neural voice.

    The same seed, with a voice newly opened, gives the same sound.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    mouth = Mouth(rng)
    sound = mouth.espeak.phonemes(keyword.replace("_", " "))
    if not sound:
        raise CorpusError(f"espeak-ng cannot say the keyword {keyword!r}: give a word in English spelling")
    confusable = _confusable(sound, rng)
    known = [mouth.espeak.phonemes(word) for word in WORDS]
    near = _nearest(known, sound)
    if voice is None:
        people = [make_speaker(i, SyntheticConfig(seed=seed + 1), rng, generator) for i in range(speakers)]
    else:
        people = [_neural_speaker(voice, rng, generator) for _ in range(speakers)]

    def say(words: list[list[str]]) -> Tensor:
        speaker = people[rng.integers(len(people))]
        if voice:
            waveform = speaker.say(words, rng)
        else:
            waveform = mouth.say([p for word in words for p in word], speaker, longest=30.0)
        waveform = convolve(waveform[None], speaker.response[None])[0]
        return to_int16(0.5 * waveform / waveform.abs().max().clamp_min(1e-3))

    phrases, left = [], int(minutes * 60 * SAMPLE_RATE)
    with tqdm(desc="speaking phrases", total=round(minutes * 60), unit="s", disable=not progress) as bar:
        while left > 0:
            words = [_word(known, near, confusable, rng) for _ in range(rng.integers(1, 8))]
            if not _holds([p for word in words for p in word], sound):
                phrases.append(say(words))
                left -= len(phrases[-1])
                bar.update(min(len(phrases[-1]) / SAMPLE_RATE, bar.total - bar.n))
    return Talk(phrases, [say([sound]) for _ in range(keywords)])


@dataclass(frozen=True)
class _NeuralSpeaker:
    """One of the speakers of a neural voice, made larger or smaller, in a room at a microphone."""

    voice: Voice
    speaker: int
    size: float
    pace: float
    variety: float
    rhythm: float
    response: Tensor

    def say(self, words: list[list[str]], rng: np.random.Generator) -> Tensor:
        """Float (samples,), a little different every time."""
        size, pace = (x * math.exp(rng.normal(0, spread)) for x, spread in ((self.size, 0.03), (self.pace, 0.1)))
        return trimmed(self.voice.say(words, self.speaker, pace, size, self.variety, self.rhythm))


def _neural_speaker(voice: Voice, rng: np.random.Generator, generator: torch.Generator) -> _NeuralSpeaker:
    return _NeuralSpeaker(
        voice,
        speaker=int(rng.integers(voice.speakers)),
        size=math.exp(rng.uniform(math.log(0.85), math.log(1.5))),  # from a large man to a child
        pace=1 / rng.uniform(0.75, 1.25),
        variety=rng.uniform(0.4, 1.0),
        rhythm=rng.uniform(0.5, 1.1),
        response=room_and_microphone(rng, generator),
    )


def _confusable(sound: list[str], rng: np.random.Generator) -> list[list[str]]:
    """Words that nobody knows, one or two phonemes away from the keyword, of like phonemes and of any."""
    swaps = (1, math.ceil(SyntheticConfig.swapped * len(sound)))
    near = _neighbours(sound)
    further = [_neighbours(near[i]) for i in rng.integers(len(near), size=2 * len(near))]
    like = [word for count in swaps for word in similar_words(sound, 40, count, rng)]
    every = like + near + [words[rng.integers(len(words))] for words in further]
    return [word for word in every if not _in_an_accent(word, sound)]


def _nearest(words: list[list[str]], sound: list[str]) -> list[list[str]]:
    """Of real words those that sound most like the keyword, itself not among them: a model meets them far more often than made-up ones."""
    others = [word for word in words if word and _as_heard(word) != _as_heard(sound)]
    return sorted(others, key=lambda word: _distance(plain_phonemes(word), plain_phonemes(sound)))[:NEAR_WORDS]


def _distance(word: list[str], other: list[str]) -> float:
    """Edits from one to the other: a phoneme of the same row for another costs 0.5, consonant for vowel 2, every other edit 1."""
    before = [float(j) for j in range(len(other) + 1)]
    for i, a in enumerate(word, 1):
        now = [float(i)]
        for j, b in enumerate(other, 1):
            now.append(min(before[j] + 1, now[j - 1] + 1, before[j - 1] + _swap_cost(a, b)))
        before = now
    return before[-1]


def _swap_cost(a: str, b: str) -> float:
    if a == b:
        return 0.0
    rows = [next((i for i, row in enumerate(ROWS) if phoneme in row), None) for phoneme in (a, b)]
    if None in rows:
        return 1.0
    if rows[0] == rows[1]:
        return 0.5
    return 1.0 if (rows[0] < 3) == (rows[1] < 3) else 2.0


def _word(
    known: list[list[str]], near: list[list[str]], confusable: list[list[str]], rng: np.random.Generator
) -> list[str]:
    kind = rng.random()
    for share, words in ((CONFUSABLE_SHARE, confusable), (NEAR_SHARE, near)):
        if kind < share:
            return words[rng.integers(len(words))]
        kind -= share
    if kind < MADE_UP_SHARE:
        return [str(rng.choice(sounds)) for _ in range(rng.integers(1, 4)) for sounds in (CONSONANTS, VOWELS)]
    return known[rng.integers(len(known))]


def _in_an_accent(word: list[str], sound: list[str]) -> bool:
    """Whether a made-up word differs from the keyword in like vowels alone: so someone says the keyword ("heppy")."""
    pairs = list(zip(plain_phonemes(word), plain_phonemes(sound), strict=False))
    alike = [a == b or (b in VOWELS and any(a in row and b in row for row in SIMILAR)) for a, b in pairs]
    return len(word) == len(sound) and all(alike)


def _neighbours(sound: list[str]) -> list[list[str]]:
    """The words that differ from one in any one phoneme, consonant for consonant and vowel for vowel, or lack it."""
    found = []
    for i, phoneme in enumerate(sound):
        (plain,) = plain_phonemes([phoneme])
        stress = phoneme[: len(phoneme) - len(plain)]
        for kind in (CONSONANTS, VOWELS):
            if plain in kind:
                found += [[*sound[:i], stress + other, *sound[i + 1 :]] for other in kind if other != plain]
        if len(sound) > 2:
            found.append([*sound[:i], *sound[i + 1 :]])
    return found


def _as_heard(phonemes: list[str]) -> list[str]:
    """Without stress marks, and with one name for vowels that some accent or voice says alike, such as those of *fit* and *feet*."""
    return [ALIKE.get(phoneme, phoneme) for phoneme in plain_phonemes(phonemes)]


def _holds(phonemes: list[str], keyword: list[str]) -> bool:
    """Whether a phrase says the keyword, be it across two words."""
    phrase, word = _as_heard(phonemes), _as_heard(keyword)
    return any(phrase[i : i + len(word)] == word for i in range(len(phrase) - len(word) + 1))
