"""What a plan tells of the rows that it read: counts and examples."""
