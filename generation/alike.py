"""English words that differ from another by one misreading.

From the 12,000 most frequent words of BERT's vocabulary, those of which `generation.folding.damage` makes another one.
"""

from __future__ import annotations

_WORDS = """
ale alien allen altitude angle arc are ate attitude bad bail ball balls ban band bands bang bank bare bat batch bay
be bear beard bearing bears beat beating bell belt bid bill bills bit bits bold bolt book born bow bug bulk bull bum
burn but butler butter cam car card cars cart case cast cat cds certainly certainty check checks cheek cheeks clad
clan clark clash clay clean clear click clock close clown club clue clutch coal coat com corn dad dare dark dash
date day dayton dean dear delta denial dental dick dive dock dose dot doubled doubted down dub due duel duet dutch
ear ears ease easier east easter eat eds element entirely entirety exiled exited fail failed failing fails fake fall
falling falls fan fate fear fearing fears fed feel feet fell felt ferry fight fighter file files fill fire fired
fires fold fool foot formal format four free french fried fry gaining gaming gate goal goat grain gram guest had
haired hale half hall halls halt ham han hand hands hang hare hart hat hatch hate hatred hay he heal healed healing
hear heard hearing hears heat heated heating hell hid hill hills hit hits hold holt hook horn how hub hug huh hull
hurling hurting hut identifies identify identities identity if inferior interior ions it lake lakes lap lasted late
leased led lemon lens lent less lid lie lied lies light lighter lightly lime lip lips lit lone long look loss lots
low lower ltd lying mail male males mall mare mate mates meal meat mini mint modem modern month months mouth mouths
neat not olive on pain pal paris parts pat plague plaque plus properly property qualify quality rain rains ram rams
rate religions religious riot roof roofs root roots safely safety sat scan seal sealed seals seat seated seats sec
see slate sleep slick specially specialty state steep stem stern stick stones stories tail tailed take takes tale
tall tan tap tasted tate tea tear tearing tears teased ted tell tens tent that tie tied ties tight tighter tightly
tile tiles till time tip tips tire tired tires told tom tone tons took tool torn toss tour tow tower trails train
traits tram tree trench tried try turn tying value valve wait waiter wall walt walter watt while white
"""

ALIKE = frozenset(_WORDS.split())
"""Where one of them stands on the page and another in the quote, nobody can tell a misreading from another word."""
