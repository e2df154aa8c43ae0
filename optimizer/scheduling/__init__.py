"""The optimizer's schedule and process: sweeps, cycles, leadership, and the child process."""
