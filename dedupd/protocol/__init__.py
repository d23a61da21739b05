"""Every message between daemon and clients, once."""
