"""What must hold at every step, whoever breaks it."""
