"""Words that exclude one another: opposites, and lists of which a text means one."""

from services.cache.semantic.guards.reading import Reading, stem

_PAIRS = """
enable disable; activate deactivate; on off; start stop; begin end; open close; opened closed
increase decrease; raise lower; rise fall; grow shrink; up down; add remove; add subtract
add delete; insert delete; create delete; create destroy; install uninstall; install remove
lock unlock; login logout; subscribe unsubscribe; connect disconnect; attach detach
allow deny; allow forbid; allow block; permit forbid; accept reject; accept decline
approve reject; approve deny; grant revoke; include exclude; import export; upload download
upgrade downgrade; push pull; encode decode; encrypt decrypt; compress decompress
compress extract; zip unzip; serialize deserialize; pack unpack; load unload; mount unmount
deposit withdraw; buy sell; bought sold; lend borrow; send receive; give take; pay receive
win lose; won lost; winner loser; pass fail; succeed fail; success failure
first last; earliest latest; early late; earlier later; oldest newest; oldest youngest
older younger; old new; old young; next previous; before after; ascending descending
minimum maximum; min max; least most; fewest most; less more; fewer more; lowest highest
low high; lower higher; smallest largest; small large; smaller larger; smallest biggest
small big; smaller bigger; shortest longest; short long; shorter longer; shortest tallest
shorter taller; cheapest expensive; easiest hardest
easiest difficult; safest dangerous; fastest slowest; cheap expensive; cheaper pricier; cheap luxury
slow fast; slower faster; slowest fastest; weak strong; weaker stronger; weakest strongest
light heavy; lighter heavier; light dark; thin thick; narrow wide; shallow deep; near far
nearest farthest; closest farthest; best worst; better worse; good bad; pro con; pros cons
advantage disadvantage; advantage drawback; advantage downside; benefit drawback; benefit risk
benefit disadvantage; benefit downside; upside downside; strength weakness; positive negative
safe dangerous; safe unsafe; harmless dangerous; harmless harmful; healthy unhealthy
legal illegal; possible impossible; true false; right wrong; correct incorrect; valid invalid
public private; internal external; inside outside; indoor outdoor; input output; read write
formal informal; polite rude; simple complex; simple complicated; easy difficult; easy hard
hot cold; warm cool; wet dry; hard soft; full empty; inner outer; upper lower; top bottom
front back; left right; north south; east west; northern southern; eastern western
male female; man woman; men women; boy girl; husband wife; father mother; brother sister
son daughter; uncle aunt; king queen; actor actress; born died
birth death; alive dead; born married; birth married; birthday married; born buried
birthplace deathplace; arrive depart; arrival departure; enter exit; enter leave; join leave
hire fire; employer employee; teacher student; buyer seller; landlord tenant; sender receiver
sender recipient; lender borrower; parent child; ancestor descendant; predecessor successor
import export; imports exports; income expense; profit loss; asset liability; debit credit
gain lose; love hate; like dislike; agree disagree; support oppose; for against; happy sad
appear disappear; expand collapse; freeze thaw; melt freeze; inflate deflate; attack defend
cause cure; cause prevent; cause treat; cause symptom; symptom treatment; treat prevent
encourage discourage; always never; all none; everything nothing; everyone nobody
with without; more less; above below; over under; inclusive exclusive; temporary permanent
static dynamic; synchronous asynchronous; vertical horizontal; row column; rows columns
mutable immutable; signed unsigned; local remote; local global; online offline; manual automatic
manually automatically; domestic international; natural artificial; urban rural; single married
refund charge; refrigerator freezer; fridge freezer; breakfast dinner; sunrise sunset
morning evening; day night; weekday weekend; summer winter; plural singular; odd even
vegetarian meat; wife husband; bull bear; prefix suffix; postfix prefix; client server
encoder decoder; sender recipient; merge split; join split; show hide; visible hidden; mute unmute
pause resume; play stop; follow unfollow; like unlike; archive unarchive; pin unpin
check uncheck; tie untie; dress undress; do undo; undo redo; known unknown; able unable
fair unfair; lucky unlucky; usual unusual; certain uncertain; clockwise counterclockwise
hardware software; supply demand; theory practice; fact opinion; fact myth; question answer
strict lenient; major minor; senior junior; amateur professional; beginner advanced
tomorrow yesterday; past future; ancient modern; acid base; proton electron; solid liquid
fusion fission; virus bacteria; mitosis meiosis; deductive inductive; renewable nonrenewable
introvert extrovert; optimist pessimist; predator prey; hero villain; host guest; wholesale retail
gross net; real fake; raw cooked; sweet sour; loud quiet; rich poor; clean dirty; sharp blunt
present absent; present past; victory defeat; war peace; heaven hell; guilty innocent
"""

_LISTS = """
red green blue yellow orange purple pink brown black white gray grey
spring summer autumn winter
breakfast lunch dinner
northeast northwest southeast southwest
python java javascript typescript rust golang ruby php kotlin swift scala perl haskell
windows macos linux android ios
ubuntu debian fedora centos
mysql postgresql sqlite mongodb redis oracle
chrome firefox safari edge
facebook twitter instagram whatsapp snapchat linkedin tiktok
iphone android ipad
uber lyft
visa mastercard amex
json csv xml yaml
essay poem haiku tweet email letter speech
english french german spanish italian portuguese chinese japanese korean arabic russian hindi
mercury venus mars jupiter saturn uranus neptune pluto
guitar piano violin drums flute cello
football basketball baseball cricket tennis rugby hockey
gold silver copper iron platinum
cat dog horse cow pig sheep rabbit
chicken beef pork salmon tofu
coffee tea beer wine
car truck motorcycle bicycle bus train plane
bachelor master doctorate phd
monthly weekly daily yearly annual quarterly hourly
"""


def _table() -> tuple[dict[str, frozenset[str]], dict[str, int]]:
    opposite: dict[str, set[str]] = {}
    for pair in _PAIRS.replace("\n", ";").split(";"):
        if not pair.strip():
            continue
        one, two = (stem(word) for word in pair.split())
        if one == two:
            continue
        opposite.setdefault(one, set()).add(two)
        opposite.setdefault(two, set()).add(one)
    listed = {
        stem(word): number
        for number, line in enumerate(_LISTS.strip().splitlines())
        for word in line.split()
    }
    return {word: frozenset(others) for word, others in opposite.items()}, listed


OPPOSITES, LISTED = _table()
_PREFIXES = {"un": 4, "dis": 4, "non": 4, "mis": 4, "ir": 5, "il": 5, "im": 5, "in": 6, "de": 6}
"""With the least length of the rest: "inside" is not the opposite of "side"."""


def opposites_agree(a: Reading, b: Reading) -> bool:
    """False where each text alone has one of two opposites, or one is the other with a prefix."""
    only_a, only_b = a.stems - b.stems, b.stems - a.stems
    if not only_a or not only_b:
        return True
    for word in only_a:
        others = OPPOSITES.get(word)
        if others and others & only_b:
            return False
    return not _prefixed(only_a, only_b)


def lists_agree(a: Reading, b: Reading) -> bool:
    """False where each text alone has a word of a list whose words exclude one another."""
    only_a = {LISTED[word] for word in a.stems - b.stems if word in LISTED}
    return not only_a or only_a.isdisjoint(
        {LISTED[word] for word in b.stems - a.stems if word in LISTED}
    )


def _prefixed(only_a: frozenset[str], only_b: frozenset[str]) -> bool:
    for word in only_a | only_b:
        for prefix, least in _PREFIXES.items():
            rest = word.removeprefix(prefix)
            if len(rest) >= least and rest != word:
                mine, theirs = (only_a, only_b) if word in only_a else (only_b, only_a)
                if rest in theirs and word in mine:
                    return True
    return False
