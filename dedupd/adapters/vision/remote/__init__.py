"""Embedding on another machine: small pictures are sent to a service that the owner named; vectors come back
and are checked."""
