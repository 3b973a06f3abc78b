"""A rack of simulated TC35i modems and the network behind them, written from the manual."""
