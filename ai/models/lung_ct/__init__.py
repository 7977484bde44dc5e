"""Lungs in chest CT, without weights: right, left, and their low attenuation."""

from ai.models.lung_ct.model import MODEL

__all__ = ["MODEL"]
