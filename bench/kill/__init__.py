"""Kill at every point: a server that ends itself at a chosen write, and a judge of what became of its promises.

sites    where it may die, wrapped around the engine from outside, and a planted fault
stand    the server as a child that may die at any moment, on a rack that lives on
errand   what is asked of it, and what it answered
verdict  what the ledger and the store say of that
rounds   one life and death after the other
"""
