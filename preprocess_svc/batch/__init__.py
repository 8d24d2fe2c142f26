"""The batch layer: Spark folds everything up to a cut, and publishes batch views and training
sets.
"""
