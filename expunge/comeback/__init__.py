"""Comes-back tests: does a forgotten target return, and did the model forget it or only hide it?"""
