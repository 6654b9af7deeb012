"""The result store: Parquet files that many writers add to and nobody corrupts."""
