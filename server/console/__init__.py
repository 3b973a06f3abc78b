"""The console: the live page of the rack and its campaigns.

pages       which address shows what, and the headers on all of it
signin      who may look: token to session and back, and no stranger's forms
snapshot    what there is to see at one moment, read from the engine
tempo       how quickly the rack sends, and how it did lately
drawing     numbers to the geometry of SVG
fragments   a snapshot to HTML, in a language
live        fragments to everybody who looks, as they change
phrases     all words, in all languages
"""
