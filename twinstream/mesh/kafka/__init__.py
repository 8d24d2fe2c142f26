"""All that this code knows of Kafka's clients: their errors, their positions, sending, and whether
a broker answers.
"""
