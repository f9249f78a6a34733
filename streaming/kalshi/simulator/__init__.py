"""A simulated Kalshi: the same REST and WebSocket dialect, lived by random orders or by recordings.

Pure: everything except `recording` (reads files), `ledger` (writes one) and `server` (sockets and clock).
"""
