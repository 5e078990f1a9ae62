"""Training of the editors that learn beforehand: MEND, SERAC and InstructEdit."""
