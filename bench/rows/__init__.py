"""What is measured, one file per kind of work; see bench/README.md."""
