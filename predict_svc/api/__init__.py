"""The predictor: HTTP in, features from the views, a model, HTTP out."""
