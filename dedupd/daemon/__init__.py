"""The long-running process: its life (life), its work (jobs), when that is due (schedule), what clients ask (handlers)."""
