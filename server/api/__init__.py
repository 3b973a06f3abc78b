"""One file per noun: parse, call one engine function, reply."""
