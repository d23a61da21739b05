"""Connect, ask, subscribe: the client's end of the socket."""
