"""What every package may use: the domain's nouns, errors, whole files, terminal text."""
