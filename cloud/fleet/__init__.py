"""The fleet server: it takes in every machine's journal, and answers for what it holds."""
