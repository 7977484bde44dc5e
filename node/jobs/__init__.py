"""Study to findings."""
