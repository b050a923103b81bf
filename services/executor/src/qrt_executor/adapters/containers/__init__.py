"""Container programs: an engine that speaks Docker's API (Docker or Podman), images, containers."""
