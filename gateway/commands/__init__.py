"""The gateway's shell commands, a module per noun. The optimizer's commands come from its plugin."""
