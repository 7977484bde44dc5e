"""Result objects to the PACS."""
