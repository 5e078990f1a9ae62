"""Is a word an ordinary one of English, or can it be nothing but a name?

"May", "Apple" and "Target" are names only where they are written as names;
"acme" means Acme however it is written. The words are the commonest of English,
with those by which people, companies, products and works are often called.
"""

from __future__ import annotations

from lte_chains.retrieval.mentions import words_of

_ENDINGS = {"s": 3, "es": 4, "ed": 4, "d": 4, "ing": 4}
"""Endings of inflected words, with the fewest letters that must stand before them."""
DATE_WORDS = frozenset(
    words_of(
        "january february march april may june july august september october november december "
        "monday tuesday wednesday thursday friday saturday sunday"
    )
)


def is_ordinary(word: str) -> bool:
    """Tell whether a word, or what it is an inflected form of, is an ordinary English word.

    Example:
        >>> is_ordinary("May"), is_ordinary("employees"), is_ordinary("Acme")
        (True, True, False)
    """
    folded = word.casefold()
    return folded in _WORDS or any(
        folded.endswith(ending)
        and len(folded) - len(ending) >= fewest
        and folded.removesuffix(ending) in _WORDS
        for ending, fewest in _ENDINGS.items()
    )


_WORDS = frozenset(
    words_of(
        """
a abandoned abbot ability able about above academic academy accepted access according account
achieved acquired acres across act acting action active activities activity actor actress
actually added addition additional address administration administrative adopted adult advanced
affairs affirm afraid after again against age aged agency agent ago agreed agreement ahead aid
air aircraft aired airport album alien alive all alliance allow allure almost alone along
alongside already also alternative although always am amber among amount an analyse analysis
analyze ancient and angel angry angular animal announced annual another answer anti any anyone
anything anyway apart apartment apparently appear appearance apple application applied appointed
approach approved approximately archer architecture are area arm armed army around arrested
arrived arrow art article artillery artist as ash ask asked asking assembly assess asset
assigned assistant associated association at attack attempt attended attention audience author
authorities authority autumn available average avoid award away baby back background bad bag
baker ball band bank bar barely base baseball basic basis basketball bass bath battle bay bazaar
be beach bear beat beautiful became because become becoming bed been bees beetles before began
begin beginning behind being believe bell belly below beneath beside best better between beyond
big bill billion bird birth bishop bit black block blood blue blur board boat bodies body bolt
bones bonus book boots border born both bottom bought bowl box boy brain branch brand brave
break breath bridge brief briefly bright bring broadcast broke broken bronze brook brother
brought brown buck buffalo buffer build built bull bumble bureau burger buried bury bus bush
business but butler by calculate call came camp campaign campus can cancer candidate candy
cannot canvas capacity capital captain captured car card care career carried carry case cast
castle catch category caught cause causing cell cemetery census center central centre centuries
century certain chain chair chairman challenge challenger chamber champion championship chance
change channel chapter character charge chart chase check cheers chest chief child children
chime chip choice chosen chrome chuck church circle cities citizens city civil claim class
classic classical clay clean clear clearly cliff climate close closely closer clothes club coach
coast cobra code coffee coin cold collection college colonel color combat combined come comedy
coming command commander commercial commission committee common commonly communication
communities community companies company compare compass competed competition complete completely
complex compose composer computer concept concert condition conducted conference confirm
conflict congress connected connection conservative consider consists constitution constructed
construction contact contained containing contains contemporary content continue contract
contrast control controlled convention conversation cook cool cooper copies core cork corner
corporation corps cosmopolitan cost could council count counter countries country county couple
course court cover crane crazy cream create creating creation creek crew cricket crime criminal
critical criticise criticize critics cross crowd crown crystal cultural culture cup cure
curiosity current currently customer cut dad daily daisy damage dance dangerous dare dark
darkness data date daughter dawn day dead deal dean dear death debut decided decision declared
dedicated deep defeat defence defense define degree delta density department deputy describe
design designated desire desk despite destiny destroyed details determined develop development
dick did die died difference different difficult digital dinner direct direction directly
director discord discovered discovery discuss disease dish display diss distance distribution
district divided division do doctor documentary does dog doing done door double doubt dove down
draft drama draw drawn dream dress drew drink drive driver driving drop dropped drug drums dry
du due duke dunk during dusty duty each eagle ear earl earlier early earned earth easily east
eastern easy eat economic economist economy edge edition editor education educational effect
effective effort eight either elbow elected election electric electronic elementary elements
else email emperor empire employed employee empty end endeavour ended ending enemy energy engine
engineer enough enter enterprise entertainment entire entirely entitled entrance entry
environment environmental episode equipment era escape especially established estate estimate
evaluate even event eventually ever every everyone everything evidence evil exactly example
excel except exchange executive exhibition exist existence expanded expected experience explain
explorer express expression extended extensive extra eye face facilities facility fact factory
faculty failed fair faith falcon fall fame families family famous fans far farm fashion fast
father fear feature featuring federal feeder feel feet fell fellow felt female festival few
fiction field fifth fight figure filled film final finally financial finch find fine finger
finish fire firm first fish fisher five flask flat fleet flight flint floor flow flowers fly
flying focus follow food foot football for force foreign forest form format formation former
formerly fort fortune forward fossil fought found foundation founder four fourth fox frame frank
free freedom frequently fresh friend from front frozen fuel full fully fun function fund further
future gained galaxy gale gallery game gap garbage garden gas gate gave gaze gene general
generally generate generation get getting ginger girl give given giving glamour glanced glass
glen global go goal goes going gold golden gone good got government governor grabbed grace grade
graduate grand grant gray great greater greatest green grew grey grind ground group grove
growing growth guard guardian guess guest guitar gun guy had hair half hall hand happen happy
hard harmony harp has have haven having hawk hazel he head headquarters health hear heart heat
heath heather heavily heavy height held hell hello help hence her here heritage heroes herself
hey hi high higher highest highly highway hill him himself hinge his historic historical history
hit hockey hold hole holiday holly holy home homeland honey honor hood hope horse hospital host
hot hotel hour house household housing hove how however huge hull human hundred hunter hurt
husband i ice idea identified identify identity if image imagine immediately impact imperial
important in include including income increase increasing indeed independence independent
individual industrial industry influence information inhabitants initial initially injury inside
inspired instead institute intelligence intended interest interior internal international
internet interview into introduce investigation invited invoice involved iris iron is island
issue it its itself ivy jack jade jam jaws jay jazz jet job join joint journal journey joy judge
jungle junior just justice keep kept key keynote kid kill kilometres kind king kingdom kiss
kitchen knew knight know knowledge known label labor labour lack ladders lady laid lake lamb
lance land lane language large largely larger largest lark last late later latter laugh launch
law lay lead leader leadership league leaned learn least leave leaving led left leg legal
legislative lemonade length less let letter level library lie life lifted light like likely lily
lime limited line linear lion lips list literary literature little live living local located
location logic long longer look loom lord lose losing loss lost lot love low lower lush lying
machine made magazine magic mail main mainly major majority make making male man managed
management manager many march marine mark market marriage married marsh mass massive master
match material matter maximum may maybe mayor me mean meant medal media median medical medicine
medium meet melody member memorial memory men mention mercy message met metal method metres mid
middle might mile military million mind mine minister ministry minor minute mirror miss mission
mix mixed mobile model modern mom moment money monk monkeys monster month moon more morning moss
most mostly mother motion mount mountain mouth move movement movie moving much multi multiple
municipal municipality murder muse museum music musical must mustang my myself name narrow
nation national native natural nature naval navy near nearby nearly necessary neck need neither
network never new newly newspaper next nice night nine no nodded node nominated non none nor
normal north northeast northern northwest nose not notable note nothing noticed notion novel now
nuclear number numerous oasis object observer obtained occupied occurred ocean of off offer
office officer official officially offset often oh oil okay old older oldest olive on once one
online only onto open opera operated operating operation opportunity opposite opposition or
oracle orange orbital orchestra order organization organized origin original originally other
otherwise ought our out outline outlook outside over overall own owned owner page paid pain
painting pair palace panther paper parents parish park parliament part participated particular
particularly parties partner party pass passenger password past pat path pathfinder patience pay
peace peak pearl penny people per percent perfect perform performance perhaps period permanent
perseverance person personal phase philosophy phone physical piano pick picture piece pierce
pilot pink pioneer pixel place plan planet planned planning plant platform play player please
plies plus pocket poet poetry point poison police policy polish political politician politics
pool poor pop pope popular population port porter portion position positive possible possibly
post potential potter power powerful practice praise pre predict premier prepared presence
present president presidential press pressure pretty prevent previous previously price primarily
primary prime prince princess principal printer prior prison private prize pro probably problem
process prodigy produce producer product production professional professor program programme
programming project prominent promise promoted promotion property proposed protect protection
provide providing province prudence psycho public publication published publishing pull pulp
purchased purpose pushed put qualified quality quarter queen question quick quickly quiet quip
quite race racing radio rail railroad railway rain raised ram ran range rank rare rarely rate
rather raven reach react reaction read ready real reality realized really rear reason recall
receive recent recently recognized recommend record red reduced reed reference referred refund
refused region regional register regular related relations relationship relatively release
relief religion religious remain remember removed renamed replaced replied report representative
represented republic required research reserve reset residents resources respect respectively
response responsible rest restaurant result retired return revealed review revolution rich ride
right ring ripple rise rising risk river road rob robin rock role rolled roof room root rose
round route royal ruby rugby rule run running rural rush rust rye safari safe safety said saint
salary sale same sat save saw say saying scale scene school science scientific score scoring
screen scrubs sea seal search season seat second secondary secret secretary section sector
security see seeing seem seen seldom selected self selling senate send senior sense sent
separate series serious serve service serving set setting settled settlement seven several sex
shall shape share sharp she shell shepherd ship shirt shook shop short shortly shot should
shoulder show shown shut side sight sign signal significant silence silent silver similar simple
simply since singer singing single sir sister sit site sitting situated situation six sixth size
skills skin sky slack sleep slightly slow slowly small smaller smile smiths snap snow so soccer
social society soft software sold soldiers solo some someone something sometimes somewhere son
song sonic soon sorry sort soul sound source south southeast southern space speak special
species specific spectator speech speed spent spin spirit split spoke sport spot spread spring
sprint squad square stadium staff stage stand standard staples star starring start state
statement station status stay steel step stepped still sting stock stomach stone stood stop
stopped store stories storm stormy story straight strange street strength strike stripe strong
structure student studied studies studio study style subject subsequent subsequently subway
succeeded success successful such suddenly sue suede suffered suggest suit summarise summarize
summer sun sunday sunny super supply support supposed supreme sure surface surprise surrounding
swan sweet swift sword system table take taken taking talk tall tangled target task taught tax
taxi teacher teaching team tears technical technology teeth telegraph television tell
temperature temple ten term territory test tether text than thank that the theater theatre their
them theme themselves then theory there therefore these they thick thin thing think third thirty
this thorn those though thought thousand three threw throat through throughout thus ticket tiger
tight timber time tinder tiny titan title to toast today together told tomorrow tone tongue
tonight too took top total touch tour tournament toward tower town township track trade
tradition traditional traffic trail train transfer transferred translate transport travel
treatment tree trial tried trip troops trouble truck true trust truth try trying turn twelve
twenty twice two type typically ultimately unable uncle under underneath understand union unique
unit unity university unknown unless unlike until up upon upper urban us use used usher using
usually valley value vampire van variety various vehicle verify version very via vice victory
video view village violence violet visa vision visit voice volume vote wade wait walk wall want
war ward ware warm was watch water wave way we weapons wearing weather weaver web website week
weekly weight well went were west western what whatever when where whether which while whispered
white who whole whom whose why wide widely wife wild will win wind window wine wing winner
winning winter wired wise wish with within without wolf woman women won wonder wood wooden word
work workers world worry worse worth would wren wrestling write writer writing written wrong
wrote yard yeah year yellow yes yesterday yet you young younger your yourself youth zombies zone
zoom
"""
    )
)
