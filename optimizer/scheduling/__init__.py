"""When the optimizer works, and in which process: sweeps, cycles, leadership, and the child process."""
