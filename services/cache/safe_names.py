"""Names whose lower-case form is no other English word.

Left out on purpose, because lower case means something else: may, march, august; turkey,
china, chad, chile, guinea, jersey, lima, manila, panama, male, nice, cologne, bath, reading,
mobile, phoenix; polish, danish, welsh, scotch, swede.
"""

_LIST = """
    monday tuesday wednesday thursday friday saturday sunday
    january february april june july september october november december christmas
    english french german spanish italian portuguese dutch swedish norwegian finnish greek
    russian ukrainian turkish arabic hebrew hindi japanese chinese korean american british
    european african asian canadian mexican brazilian australian indian irish swiss austrian
    belgian hungarian czech romanian bulgarian egyptian israeli
    afghanistan albania algeria andorra angola argentina armenia australia austria azerbaijan
    bahamas bahrain bangladesh barbados belarus belgium belize benin bhutan bolivia bosnia
    botswana brazil brunei bulgaria burundi cambodia cameroon canada colombia comoros congo
    croatia cuba cyprus czechia denmark djibouti dominica ecuador egypt eritrea estonia eswatini
    ethiopia fiji finland france gabon gambia georgia germany ghana greece grenada guatemala
    guyana haiti honduras hungary iceland india indonesia iran iraq ireland israel italy jamaica
    japan kazakhstan kenya kiribati kosovo kuwait kyrgyzstan laos latvia lebanon lesotho liberia
    libya liechtenstein lithuania luxembourg madagascar malawi malaysia maldives mali malta
    mauritania mauritius mexico micronesia moldova monaco mongolia montenegro morocco mozambique
    myanmar namibia nauru nepal netherlands nicaragua niger nigeria norway oman pakistan palau
    palestine paraguay peru philippines poland portugal qatar romania russia rwanda samoa senegal
    serbia seychelles singapore slovakia slovenia somalia spain sudan suriname sweden switzerland
    syria taiwan tajikistan tanzania thailand togo tonga tunisia turkmenistan tuvalu uganda
    ukraine uruguay uzbekistan vanuatu venezuela vietnam yemen zambia zimbabwe
    england scotland wales britain europe africa asia antarctica
    amsterdam ankara athens baghdad bangkok barcelona beijing beirut belgrade berlin bogota
    boston brasilia bratislava brussels bucharest budapest cairo canberra caracas chicago
    copenhagen damascus delhi dhaka dubai dublin edinburgh frankfurt geneva glasgow hamburg
    hanoi helsinki houston islamabad istanbul jakarta jerusalem johannesburg kabul kathmandu
    kyiv lagos lisbon ljubljana london luxembourg madrid melbourne miami milan minsk montreal
    moscow mumbai munich nairobi naples oslo ottawa paris prague pretoria pyongyang quito
    reykjavik riga rome rotterdam sarajevo seattle seoul shanghai sofia stockholm stuttgart
    sydney tallinn tehran tirana tokyo toronto tripoli tunis valencia vancouver vienna vilnius
    warsaw washington yerevan zagreb zurich
"""

NAMES = frozenset(_LIST.split())
