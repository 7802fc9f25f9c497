"""Lives of jobs that several deliverers share, over a real PostgreSQL.

Each deliverer is a process of its own, with its own machine, clock and event loop, and all of them
are threads of which one runs at a time. What they ask of the database is answered by the real one;
when it is asked, when the answer comes, and whether, is the simulation's to say.
"""
