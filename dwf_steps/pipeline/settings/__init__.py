"""The settings and resources of each step: one module per stage, one class per step.

A class is named after its rule and its step module: `TrainZoo`, rule `train_zoo`, `dwf_steps/train_zoo.py`.
"""
