"""How far a plan or a run is, for people."""
