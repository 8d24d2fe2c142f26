"""What stands between the predictor and its engines."""
