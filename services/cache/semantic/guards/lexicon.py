"""English word lists the guards share. All lower case."""


def words_of(words: str) -> frozenset[str]:
    """The words of a list written as one text."""
    return frozenset(words.split())


FUNCTION = words_of(
    """a an the this that these those some any each every such
    i you he she it we they me him her us them my your his its our their mine yours myself
    am is are was were be been being do does did doing done have has had having
    can could will would shall should may might must ought
    and or but nor so yet if then else because while as than though although
    of in on at to from for by with about into onto over under between among through during
    before after above below up down out off against within across toward towards via per
    who whom whose which what when where why how
    there here too also just very really quite please kindly hi hello hey thanks thank ok okay
    s t d m re ve ll o"""
)

PREPOSITIONS = words_of(
    """of in on at to from for by with about into onto over under between among through during
    before after above below against within without across toward towards via per than as like
    versus vs minus"""
)

JOINING = frozenset({"and", "or", "vs", "versus", "&", ",", "nor"})
"""Words whose two sides may change places."""

NUMBER_WORDS = {
    "zero": "0", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13",
    "fourteen": "14", "fifteen": "15", "sixteen": "16", "seventeen": "17", "eighteen": "18",
    "nineteen": "19", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
    "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90", "hundred": "100",
    "thousand": "1000", "million": "1000000", "billion": "1000000000", "dozen": "12",
    "half": "1/2", "quarter": "1/4", "twice": "x2", "double": "x2", "triple": "x3",
    "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th", "seventh": "7th",
    "eighth": "8th", "ninth": "9th", "tenth": "10th", "ii": "2", "iii": "3", "iv": "4",
    "vi": "6", "vii": "7", "viii": "8",
}  # fmt: skip

_UNITS = """
    mile miles mi
    kilometer kilometers kilometre kilometres km kms
    meter meters metre metres
    centimeter centimeters centimetre centimetres cm
    millimeter millimeters millimetre millimetres mm
    foot feet ft
    inch inches
    yard yards
    gram grams
    kilogram kilograms kilo kilos kg kgs
    milligram milligrams mg
    microgram micrograms mcg
    ounce ounces oz
    pound pounds lb lbs
    ton tons tonne tonnes
    liter liters litre litres
    milliliter milliliters millilitre millilitres ml
    gallon gallons
    cup cups
    tablespoon tablespoons tbsp
    teaspoon teaspoons tsp
    celsius centigrade
    fahrenheit
    kelvin
    millisecond milliseconds ms
    seconds sec secs
    minute minutes min mins
    hour hours hr hrs
    day days
    week weeks
    month months
    year years yr yrs
    decade decades
    century centuries
    byte bytes
    kb kilobyte kilobytes
    mb megabyte megabytes
    gb gigabyte gigabytes
    tb terabyte terabytes
    mbps
    gbps
    watt watts
    kilowatt kilowatts kw
    volt volts
    amp amps
    mph
    kph kmh
    percent percentage %
    dollar dollars usd $ bucks
    euro euros eur €
    gbp £ sterling
    yen jpy ¥
    rupee rupees inr ₹
    franc francs chf
    yuan rmb cny
    peso pesos
    acre acres
    hectare hectares
    calorie calories kcal
    joule joules
"""
UNITS = {word: line.split()[0] for line in _UNITS.strip().splitlines() for word in line.split()}

_DATES = """
    monday mondays
    tuesday tuesdays tues
    wednesday wednesdays
    thursday thursdays thurs
    friday fridays
    saturday saturdays
    sunday sundays
    january jan
    february feb
    april apr
    june
    july
    august
    september sept
    october oct
    november nov
    december dec
    today
    tonight
    tomorrow
    yesterday
    weekend weekends
    weekday weekdays
"""
DATES = {word: line.split()[0] for line in _DATES.strip().splitlines() for word in line.split()}
MONTHS_LIKE_WORDS = {"may": "may", "march": "march"}

ALIASES = {
    "usa": "us", "america": "us", "u.s": "us", "u.s.a": "us", "britain": "uk", "u.k": "uk",
    "nyc": "newyork", "js": "javascript", "ts": "typescript", "k8s": "kubernetes",
    "postgres": "postgresql", "golang": "go", "py": "python", "ww2": "wwii", "tv": "television",
    "holland": "netherlands",
}  # fmt: skip

_IRREGULAR = """
    eaten eat; ate eat; beaten beat; written write; wrote write; bought buy; sold sell
    chosen choose; chose choose; driven drive; drove drive; given give; gave give; taken take
    took take; seen see; saw see; known know; knew know; made make; making make; found find
    built build; led lead; lost lose; won win; left leave; sent send; spent spend; paid pay
    said say; told tell; taught teach; thought think; caught catch; brought bring; fought fight
    held hold; kept keep; met meet; hidden hide; hid hide; broken break; broke break
    spoken speak; spoke speak; stolen steal; stole steal; thrown throw; threw throw; drawn draw
    drew draw; grown grow; grew grow; flown fly; flew fly; begun begin; began begin; sung sing
    sang sing; run run; ran run; running run; got get; gotten get; getting get; went go; gone go
    came come; coming come; became become; fell fall; fallen fall; understood understand
    people person; children child; mice mouse; feet foot; wives wife; lives life; using use
    used use; uses use; people person
"""
IRREGULAR = dict(pair.split() for pair in _IRREGULAR.replace("\n", ";").split(";") if pair.strip())

HARD_NEGATIONS = words_of(
    "not never no without except excluding nor neither none nothing nobody cannot nowhere "
    "cant dont wont isnt arent doesnt didnt shouldnt wouldnt couldnt hasnt havent wasnt"
)
SOFT_NEGATIONS = (
    "unable", "fail", "broken", "declin", "reject", "missing", "miss", "forgot", "forget",
    "lost", "lose", "wrong", "problem", "issue", "error", "trouble", "refus", "stuck", "crash",
    "stop", "prevent", "avoid", "block", "deni", "denied", "impossible", "hardly", "free", "lack",
    "unlike", "otherwise", "disappear", "pending", "delay", "still", "yet", "late", "exclud",
    "rid", "difficult", "hard",
)  # fmt: skip

PERSONAL = words_of("my mine our ours")
PRESENT = words_of("now currently nowadays presently")
TIME_WORDS = words_of("""today tonight yesterday tomorrow latest newest recent recently""")
