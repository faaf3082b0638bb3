"""What a new back end or estimator is tested with."""
