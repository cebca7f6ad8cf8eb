"""What bench/instructions.py is made of: the proxy under callgrind, what is done with it, and what that may cost."""
