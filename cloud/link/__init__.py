"""The machine's side of the link: the journal goes up, acknowledgements and commands come down."""
