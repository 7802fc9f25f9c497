"""What surrounds the program in a life: time, disk, network, server, people."""
