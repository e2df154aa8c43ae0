"""What the shell can ask for, one module per noun. The optimizer's commands come from its plugin."""
