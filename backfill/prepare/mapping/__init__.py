"""From source columns to the destination's fields."""
