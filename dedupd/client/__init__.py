"""The client's end of the socket: connect, ask, subscribe."""
