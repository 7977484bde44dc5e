"""The running node: its processes, what each is made of, and who starts them again."""
