"""English words: those of a synthetic corpus, which are nearly those of Speech Commands, those of talk, and the commonest of all."""

from functools import cache
from pathlib import Path

# fmt: off
COMMON_WORDS = (
    "backward bed bird cat dog down eight five follow forward four go happy house learn left marvin nine no off on one right seven"
    " sheila six stop three tree two up visual wow yes zero"
).split()
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
COMMONEST = (  # in talk
    "a about after again all also always an and another any anything are around as ask at away back be because been before being better"
    " but by call can come could day did do does doing done down even ever every everything feel find first for from get getting give go"
    " going good got great guess had has have he hear hello her here hey hi him his home how i if in into is it its just kind know last"
    " let like little long look made make man maybe me mean money more most mother much must my name need never new nice night no not"
    " nothing now of off oh okay old on one only or other our out over people place please put really right said same say see she should"
    " so some something sorry sure take talk tell than thank thanks that the their them then there these they thing things think this"
    " those thought three through time to today tomorrow tonight too two up us use very wait want was way we well went were what when where"
    " which who why will with work world would yeah year years yes you your"
).split()
# fmt: on


@cache
def vocabulary() -> list[str]:
    """The 8,000 commonest words of English, from the commonest on (their order is that of the package wordfreq 3.1.1, CC BY-SA 4.0)."""
    return Path(__file__).with_name("english_words.txt").read_text().split()
