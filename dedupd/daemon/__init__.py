"""The long-running process: its life (life), its work (jobs), when that is due (schedule), and the answers to
clients (handlers)."""
