"""The process that prunes; `protocol` has its requests and answers."""
