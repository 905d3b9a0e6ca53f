"""Server rules that turn the updates of a round into the next global model; one paper a file."""
