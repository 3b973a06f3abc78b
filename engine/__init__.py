"""The SMS engine and the CRM: everything but HTTP.

Floors, lowest first.  Each may import the ones before it, never the ones after.

    errors, rack, numbers, config   what can go wrong, what a rack looks like, what a phone number is, what can be set
    _*.pyx, sms, wap                text to octets and back, in Cython; its one Python face; links for phones
    store                           LMDB: one thread writes, everyone reads
    modem                           a TC35i on a serial line, and a pool of them
    traffic                         messages in motion: queued, sent, reported, received
    access                          who may call: tokens, sessions
    crm, sim                        customers, consent, campaigns; and a rack of simulated modems
    apps                            what a text sent to us can do
    proof, migration, upkeep        that the store is whole; data of earlier versions; what is done behind the work
    wiring                          builds all of it, and alone knows all of it

crm and modem never import each other: they meet in the store.
"""
