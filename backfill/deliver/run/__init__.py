"""One run: lanes, batches, intents, outcomes, and why it stops."""
