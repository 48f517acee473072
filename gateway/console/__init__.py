"""What the web console asks of the fleet: sessions, forwards, its files. No HTTP routes here."""
