"""Words of the tasks, where RULER takes those of the package wonderwords: keys are an adjective and a noun, and lists
of words have all kinds."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

NOUNS = (
    "anchor apron arrow atlas badge bakery barrel basin basket bay beacon bench berry bicycle blanket boat bonnet "
    "bottle boulder bracelet branch brick bridge broom bucket button cabin cable camera candle canoe canyon "
    "carpet castle ceiling cellar chain chair chalk chimney chisel cider circle clock cloud coast collar compass "
    "copper corner cottage cotton cradle crayon creek cricket crown curtain cushion dagger desert diary dinner "
    "dollar donkey dragon drawer drum eagle engine envelope fabric falcon farmer feather fence ferry fiddle field "
    "flag flute forest fountain fox frame garden garlic gate glacier glove goblet granite grape guitar hammer "
    "harbor harvest hedge helmet herring hill honey horizon hotel island ivory jacket jar jewel journal judge "
    "kettle kitchen kite knight ladder lagoon lamp lantern lawyer leaf lemon letter library lighthouse lizard "
    "locket lumber magnet manor map marble market mason meadow medal melon mill mirror monkey mountain museum "
    "napkin needle nest notebook oak ocean olive onion orchard organ otter oven owl paddle painter palace paper "
    "parade parrot pebble pencil pepper piano pigeon pillow pilot planet plum pocket poet pond poplar porch "
    "prairie prism puddle pumpkin quarry quill rabbit radio raft raven ribbon river robin rocket rope saddle "
    "salad salmon scarf school shelf shepherd ship shovel signal silver singer sketch sleeve soldier spider spoon "
    "spring stable statue stone stove stream street sugar summer sunset swallow table tailor teapot temple tent "
    "theater thimble ticket tiger timber tower trumpet tunnel turtle valley velvet village violin wagon walnut "
    "water weaver whale wheel whistle willow window winter wizard yarn"
).split()
ADJECTIVES = (
    "able ample ancient angry brave brief bright broad bronze busy calm careful charming cheerful chilly civil "
    "clean clever cloudy clumsy cold common cozy crimson crisp curious curly damp daring dark deep delicate dense "
    "distant dizzy dusty eager early elegant empty even faded faint famous fancy fast festive fierce final firm "
    "flat fluffy formal fragile free fresh friendly frosty full gentle giant glad gloomy golden grand grateful "
    "grave great green handsome handy happy hasty heavy hollow honest huge humble hungry icy idle jolly keen kind "
    "large lazy light little lively lonely long loud loyal lucky mellow merry mighty misty modern modest narrow "
    "neat nimble noble noisy odd orange patient plain pleasant polite proud purple quaint quick quiet rapid rare "
    "ready rough round royal rustic salty scarlet secret shallow sharp shiny silent simple sleepy slim slow small "
    "smooth soft solid spicy steady steep stern strange strong sturdy subtle sudden sunny swift tall tame tender "
    "thick thin tidy tiny tough upset vast vivid warm wealthy weary wild windy wise witty wooden yellow young "
    "zealous"
).split()
VERBS = (
    "accept admire advise agree allow answer arrive ask bake balance borrow bounce build buy carry catch change "
    "chase choose climb collect compare copy count cross dance decide deliver describe dig discover divide draw "
    "dream drift drink drive earn enjoy enter escape explain explore fetch fill find finish float fly fold follow "
    "forget gather give glide greet grow guess guide hang hear hide hope hunt imagine improve invent invite join "
    "juggle jump knock laugh lead learn lend lift listen mark measure melt mend move notice observe offer open "
    "order paint pause plant play polish pour praise prepare pull push race reach read remember rest return ride "
    "ring rise sail search send share shine shout sing sit skip sleep smile solve speak spin stand start stay "
    "stir stretch study swim swing talk teach tell thank think throw travel trust turn visit wait wake walk "
    "wander wash watch whisper wonder write"
).split()
KEYS = [f"{adjective}-{noun}" for adjective in ADJECTIVES for noun in NOUNS]
ALL = sorted({*NOUNS, *ADJECTIVES, *VERBS})
