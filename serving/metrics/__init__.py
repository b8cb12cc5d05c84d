"""What Prometheus reads of our processes: every metric there is, its text, and the port for it."""
