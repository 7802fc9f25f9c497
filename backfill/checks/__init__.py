"""Values to canonical values and the names of the rules they broke."""
