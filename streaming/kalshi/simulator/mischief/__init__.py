"""What an exchange, a network and a clock can do wrong, on purpose: a script or a control endpoint switches it on.

`catalogue` says what there is, `script` reads entries, `running` knows what is on, `line` bends one connection's frames;
all of it pure. What touches sockets is `client.py` and `server.py`.
"""
