"""Values that replicas change on their own and merge without conflict."""
