"""What each step is told of the configuration, and what its job asks for; a module a stage, a class a step.

A class is named after its rule and its step module: `TrainZoo`, rule `train_zoo`, `dwf_steps/train_zoo.py`.
"""
