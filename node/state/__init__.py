"""What survives a restart: spool files and ledger facts."""
