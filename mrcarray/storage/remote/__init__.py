"""Files that are not on this machine: HTTP, S3, everything fsspec opens, and members of zip archives."""
