"""Read remote files: HTTP, S3, every other file system of fsspec, and members of zip archives."""
