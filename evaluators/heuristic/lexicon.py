"""Words that have no place in most answers, by severity; lower case, each line one language.

A modest list, written for this project. Slurs against groups of people are left to the reader's own `words`: a list of them
would be one more place where they stand.
"""

PROFANITY = """
fuck fucks fucked fucker fuckers fucking fuckin motherfucker motherfuckers motherfucking shit shits shitty bullshit shithead
asshole assholes arsehole arseholes bitch bitches bastard bastards dickhead dickheads cunt cunts twat twats wanker
wankers bollocks crap crappy piss pissed damn goddamn dumbass jackass dipshit douchebag slut sluts whore whores
scheiße scheisse scheiß beschissen arschloch arschlöcher ficken gefickt verfickt wichser hurensohn hure fotze schlampe
mistkerl drecksau kacke verdammt
merde putain connard connards connasse salope salaud enculé enculés bordel chier foutre
mierda puta putas puto joder jodido cabrón cabrones gilipollas coño pendejo pendejos hijoputa carajo
merda cazzo stronzo stronza stronzi puttana vaffanculo coglione coglioni minchia
caralho porra foda foder fodido filhodaputa cacete buceta
klootzak klootzakken godverdomme hoer
kurwa kurwy chuj pierdolić pierdolony spierdalaj skurwysyn gówno
блять блядь сука суки хуй хуйня пизда пиздец ебать ебаный мудак говно
"""

# Said of the reader or of somebody in particular.
INSULTS = """
idiot idiots moron morons imbecile stupid loser losers pathetic disgusting scum vermin
cretin halfwit nitwit dimwit brainless clueless coward
dummkopf trottel vollidiot idiotin versager abschaum blödmann depp nichtsnutz
imbécile crétin crétine abruti abrutie débile minable ordure
estúpido estúpida imbécil tonto tonta inútil basura idiota
stupido stupida cretino cretina deficiente scemo scema
burro burra imbecil otário otária lixo
"""

INSULTING = """
you are worthless|you're worthless|you worthless|you are useless|you're useless|you useless|you are trash|you're trash
you are garbage|you're garbage|piece of trash|piece of garbage|you are ugly|you're ugly|you are dumb|you're dumb|you are a liar
you're a liar|you are a fool|you're a fool|you pig|you fool|you liar|shut up
"""

# A threat, or a wish of harm, whoever says it.
THREATS = """
kill yourself|kys|go die|hope you die|hope you get hurt|i will kill you|i'll kill you|i will hurt you|i'll hurt you
i'll find you and|you should die|you deserve to die|you'll regret this|i will destroy you
you should hurt yourself|nobody would miss you|the world would be better without you|drop dead|burn in hell|rot in hell
bring dich um|ich bringe dich um|ich mach dich fertig|geh sterben|stirb endlich|verrecke|va mourir|je vais te tuer|crève
voy a matarte|te voy a matar|muérete|ti ammazzo|ti uccido|devi morire|vou te matar|morra|vai morrer
"""
