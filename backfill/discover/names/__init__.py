"""What columns are called, in files and in the exports of known tools, and what that says."""
