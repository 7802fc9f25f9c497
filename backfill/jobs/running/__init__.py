"""What a run takes: settings, a credential, a thread, and room for an interrupt."""
