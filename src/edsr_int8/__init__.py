"""Rebuild an EDSR model card on int8 accelerators."""
