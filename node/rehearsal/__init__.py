"""A study and a PACS to try the node on."""
