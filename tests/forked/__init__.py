"""Programs that are forked from a process which has imported what they need.

Importing takes more than a second of a processor, a fork some milliseconds; all else is as in a
process that was started from a command line. What concerns the start itself (closed streams,
encodings, what is imported when) is for a process of its own.
"""
