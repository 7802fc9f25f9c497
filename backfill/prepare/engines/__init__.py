"""Where the tasks of a plan run: threads of this process, or the workers of a cluster."""
